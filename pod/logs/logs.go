// Package logs keeps container output: written, rotated, read, followed.
//
// A log is a directory of numbered generations, each a raw file NNNNNNNN.log, which holds what the container wrote,
// byte for byte, and an index NNNNNNNN.idx beside it, which says when and on which stream. One writer moves the
// container's pipes into the raw file with splice(2): one system call takes the bytes out of the pipe and stores
// them, so a SIGKILL falls before or after it and no line is lost, doubled or torn. Any number of readers open the
// files; none of them can hold up the container. Readers and writer share no lock: an index record is written
// before the bytes it speaks of, and the length of the raw file says what is there.
package logs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stream is where a container wrote. A tty container has one, Stdout, and what its hooks write is another.
type Stream uint8

// The streams of a container.
const (
	Stdout Stream = 1
	Stderr Stream = 2
	Hook   Stream = 3

	streams = 4 // length of a table indexed by Stream
)

// String is the name people know.
func (s Stream) String() string {
	switch s {
	case Stdout:
		return "stdout"
	case Stderr:
		return "stderr"
	case Hook:
		return "hook"
	default:
		return "stream " + strconv.Itoa(int(s))
	}
}

// Config says where a log is and how much of it is kept.
type Config struct {
	// Dir is made when missing, mode 0700; it belongs to the log alone.
	Dir string
	// MaxSize is the size in bytes at which a generation ends; 0 is 10 MiB, at most 1 TiB.
	MaxSize int64
	// MaxFiles is how many generations stay, the current one included; 0 is 5.
	MaxFiles int
}

// Line is what a container wrote up to a newline.
type Line struct {
	// At is when the chunk with the line's first byte was moved: the line is that old or a little older.
	At     time.Time
	Stream Stream
	// Text is without the newline, and valid only until the callback returns.
	Text []byte
	// Partial: no newline follows Text. The line goes on in the next Line of this stream, or it is the log's last.
	Partial bool
}

// lineMax bounds the memory of a reader: longer lines come in pieces.
const lineMax = 64 << 10

const (
	dataSuffix  = ".log"
	indexSuffix = ".idx"
	lockName    = "lock"
	offsetBits  = 40
)

func dataPath(dir string, gen uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%08d%s", gen, dataSuffix))
}

func indexPath(dir string, gen uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%08d%s", gen, indexSuffix))
}

// generations lists what is kept, oldest first. The raw file alone makes a generation: an index without one is
// the trace of a rotation that a crash cut off, and the next rotation overwrites it.
func generations(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !(len(entries) > 0 && errors.Is(err, os.ErrNotExist)) {
		return nil, err
	}
	var gens []uint64
	for _, e := range entries {
		text, ok := strings.CutSuffix(e.Name(), dataSuffix)
		if gen, err := strconv.ParseUint(text, 10, 64); ok && err == nil && gen > 0 {
			gens = append(gens, gen)
		}
	}
	slices.Sort(gens)
	return gens, nil
}
