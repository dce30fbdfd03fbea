package logs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// coalesce is how long a chunk may go on without a record of its own: one record a millisecond bounds the index
// under a flood, and nobody reads times finer.
const coalesce = time.Millisecond

// Log is the writing side of a log. Its methods may be called from any goroutine.
type Log struct {
	cfg  Config
	lock *os.File

	mu          sync.Mutex
	gen         uint64
	data, index *os.File
	head        header
	size        int64          // of data
	slot        int64          // where the next record goes
	last        record         // at slot-1, when fresh
	fresh       bool           // last was written by this process for this generation
	ends        [streams]int64 // end of each stream's last chunk in data, 0 for none
	blocked     error
	closed      bool
}

// Open opens a log for writing and goes on where an earlier writer, ended or killed, stopped. It fails while another
// process writes the log. One Log a directory in a process: the lock cannot tell two apart.
func Open(cfg Config) (*Log, error) {
	if cfg.MaxSize <= 0 {
		cfg.MaxSize = 10 << 20
	}
	cfg.MaxSize = min(cfg.MaxSize, 1<<offsetBits-1)
	if cfg.MaxFiles <= 0 {
		cfg.MaxFiles = 5
	}
	l := &Log{cfg: cfg}
	if err := l.open(); err != nil {
		l.Close()
		return nil, fmt.Errorf("cannot open log %q: %w", cfg.Dir, err)
	}
	return l, nil
}

func (l *Log) open() (err error) {
	if err := os.MkdirAll(l.cfg.Dir, 0o700); err != nil {
		return err
	}
	if l.lock, err = os.OpenFile(filepath.Join(l.cfg.Dir, lockName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	// A POSIX lock and not flock(2): it is not inherited, so a child that the killed writer was just forking
	// does not hold it against the next writer.
	if err := unix.FcntlFlock(l.lock.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		return fmt.Errorf("another process writes it: %w", err)
	}
	gens, err := generations(l.cfg.Dir)
	if err != nil {
		return err
	}
	if len(gens) == 0 {
		return l.begin(1, header{at: time.Now().UnixNano()})
	}
	return l.resume(gens[len(gens)-1])
}

// Close lets go of the files; a Pump still running ends with an error. Close is not needed before exit.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, f := range []*os.File{l.data, l.index, l.lock} {
		if f != nil {
			f.Close()
		}
	}
	return nil
}

// Blocked is why nothing can be written now, usually a full disk: the container's output waits in its pipe and the
// container too once that is full. Nil when the last write succeeded.
func (l *Log) Blocked() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocked
}

// begin makes generation gen the current one. The raw file comes last: it commits.
func (l *Log) begin(gen uint64, h header) error {
	index, err := os.OpenFile(indexPath(l.cfg.Dir, gen), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	b := h.encode()
	if _, err := index.WriteAt(b[:], 0); err != nil {
		index.Close()
		return err
	}
	data, err := os.OpenFile(dataPath(l.cfg.Dir, gen), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		index.Close()
		return err
	}
	if l.data != nil {
		l.data.Close()
		l.index.Close()
	}
	l.data, l.index, l.gen, l.head = data, index, gen, h
	l.size, l.slot, l.fresh, l.ends = 0, 1, false, [streams]int64{}
	return nil
}

// resume opens an existing generation. The raw file's length is the truth: records at or past it announce bytes
// that never came, and go.
func (l *Log) resume(gen uint64) (err error) {
	if l.data, err = os.OpenFile(dataPath(l.cfg.Dir, gen), os.O_RDWR, 0); err != nil {
		return err
	}
	if l.index, err = os.OpenFile(indexPath(l.cfg.Dir, gen), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	st, err := l.data.Stat()
	if err != nil {
		return err
	}
	l.gen, l.size, l.slot = gen, st.Size(), 1
	text, err := os.ReadFile(l.index.Name())
	if err != nil {
		return err
	}
	if l.head = decodeHeader(text); l.head.at == 0 {
		l.head.at = st.ModTime().UnixNano()
		b := l.head.encode()
		if _, err := l.index.WriteAt(b[:], 0); err != nil {
			return err
		}
	}
	before := record{offset: -1, stream: Stdout}
	for i := int64(1); (i+1)*recordSize <= int64(len(text)); i++ {
		r, ok := decodeRecord(text[i*recordSize : (i+1)*recordSize])
		if !ok || r.offset <= before.offset || r.offset >= l.size {
			continue
		}
		l.ends[before.stream] = max(r.offset, 0)
		before, l.slot = r, i+1
	}
	l.ends[before.stream] = l.size
	return l.index.Truncate(l.slot * recordSize)
}

// rotate ends the current generation. The oldest go first: the bound on the disk holds at every moment, and a full
// disk gets their room.
func (l *Log) rotate() error {
	gens, err := generations(l.cfg.Dir)
	if err != nil {
		return err
	}
	for _, gen := range gens {
		if gen+uint64(l.cfg.MaxFiles) > l.gen+1 {
			break
		}
		// The raw file first: an index alone is nothing.
		if err := os.Remove(dataPath(l.cfg.Dir, gen)); err != nil {
			return err
		}
		os.Remove(indexPath(l.cfg.Dir, gen))
	}
	h := header{at: time.Now().UnixNano()}
	for s := Stdout; s < streams; s++ {
		mid, err := l.mid(s)
		if err != nil {
			return err
		}
		if mid {
			h.midline |= 1 << s
		}
	}
	return l.begin(l.gen+1, h)
}

// mid says whether a stream is in the middle of a line.
func (l *Log) mid(s Stream) (bool, error) {
	if l.ends[s] == 0 {
		return l.head.midline&(1<<s) != 0, nil
	}
	var b [1]byte
	_, err := l.data.ReadAt(b[:], l.ends[s]-1)
	return b[0] != '\n', err
}

// EndLine ends the line that a stream is in the middle of: what is written next comes from somebody else. Idempotent.
func (l *Log) EndLine(s Stream) error {
	l.mu.Lock()
	mid, err := l.mid(s)
	l.mu.Unlock()
	if err == nil && mid {
		_, err = l.add(s, func(to int, at int64, _ int) (int, error) { return unix.Pwrite(to, []byte{'\n'}, at) })
	}
	if err != nil {
		return fmt.Errorf("cannot end a line in log %q: %w", l.cfg.Dir, err)
	}
	return nil
}

// announce makes sure that a record speaks for the bytes of stream s about to be written at the end. Until they are
// there the record does not count, and the next one overwrites it.
func (l *Log) announce(s Stream) (record, error) {
	r := record{offset: l.size, at: time.Now().UnixNano(), stream: s}
	if age := r.at - l.last.at; l.fresh && l.last.stream == s && age >= 0 && age < int64(coalesce) {
		return l.last, nil
	}
	b := r.encode()
	_, err := l.index.WriteAt(b[:], l.slot*recordSize)
	return r, err
}

// wrote counts n bytes that r speaks for.
func (l *Log) wrote(r record, n int) {
	if r.offset == l.size {
		l.slot++
	}
	l.last, l.fresh = r, true
	l.size += int64(n)
	l.ends[r.stream] = l.size
}

// add runs move, which stores at most max bytes at the end of the raw file and says how many.
func (l *Log) add(s Stream, move func(to int, at int64, max int) (int, error)) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, os.ErrClosed
	}
	defer func() {
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			l.blocked = err
		}
	}()
	if l.size >= l.cfg.MaxSize {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	r, err := l.announce(s)
	if err != nil {
		return 0, err
	}
	// One chunk is at most what a pipe holds; the generation is never larger than MaxSize.
	n, err = move(int(l.data.Fd()), l.size, int(min(l.cfg.MaxSize-l.size, 1<<20)))
	if n > 0 {
		l.wrote(r, n)
	} else if st, serr := l.data.Stat(); serr == nil && st.Size() > l.size {
		// Refused but longer: the source still has those bytes, and they would come twice.
		err = errors.Join(err, l.data.Truncate(l.size))
	}
	return max(n, 0), err
}
