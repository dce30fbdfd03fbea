package events

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Options say which events are read.
type Options struct {
	// Since and Until bound their times; zero is no bound. A Since of zero reads only what happens from now on.
	Since, Until time.Time
	// Follow waits for events until Until, or for ever.
	Follow bool
}

// Read calls f with the events of a project's file, oldest first. It ends with f's error, with ctx's cause, or with nil
// when what it was asked for is read.
func Read(ctx context.Context, path string, o Options, f func(Event) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil { // before the first event there is nothing to watch
		return err
	}
	changes, err := watch(ctx, filepath.Dir(path), o.Until)
	if err != nil {
		return err
	}
	defer changes.Close()
	r := &reader{path: path, options: o, take: f}
	defer r.close()
	if err := r.begin(); err != nil {
		return err
	}
	for {
		if err := r.more(); err != nil {
			return err
		}
		if !o.Follow {
			return nil
		}
		var buf [4096]byte
		_, err := changes.Read(buf[:])
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return r.more()
		case err != nil:
			return err
		}
	}
}

// watch begins to wait for changes in a directory, by inotify(7), so that none after the call is missed. Reading it
// ends with ctx, and at a time.
func watch(ctx context.Context, dir string, until time.Time) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_FROM|unix.IN_ONLYDIR); err != nil {
		file.Close()
		return nil, &os.PathError{Op: "inotify_add_watch", Path: dir, Err: err}
	}
	if err := file.SetReadDeadline(until); err != nil { // zero is none
		file.Close()
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) }) // fails once it is closed
	return file, nil
}

// reader follows the newer file, from one to the next.
type reader struct {
	path    string
	options Options
	take    func(Event) error
	file    *os.File
	rest    []byte
}

func (r *reader) close() {
	if r.file != nil {
		r.file.Close()
	}
}

// begin opens the oldest file, or goes to the end of the newest where the past is not asked for.
func (r *reader) begin() error {
	if !r.options.Since.IsZero() {
		file, err := open(older(r.path))
		r.file = file
		return err
	}
	var err error
	if r.file, err = open(r.path); r.file != nil {
		_, err = r.file.Seek(0, io.SeekEnd)
	}
	return err
}

// open opens a file that may not be there: then it is nil.
func open(path string) (*os.File, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return file, err
}

// more reads what has come, over to the newest file. What is read of a file whose successor was seen before is all of it,
// but for what a writer appends that had it open: such a one is between two system calls.
func (r *reader) more() error {
	for {
		newest, err := open(r.path)
		if err != nil {
			return err
		}
		last := newest == nil || r.file != nil && same(r.file, newest)
		if err := r.drain(); err != nil || last {
			if newest != nil {
				newest.Close()
			}
			return err
		}
		r.close()
		r.file, r.rest = newest, nil
	}
}

func same(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

func (r *reader) drain() error {
	if r.file == nil {
		return nil
	}
	text, err := io.ReadAll(r.file)
	if err != nil {
		return err
	}
	list, rest := decode(append(r.rest, text...))
	r.rest = append([]byte(nil), rest...)
	for _, e := range list {
		if e.Time.Before(r.options.Since) || !r.options.Until.IsZero() && e.Time.After(r.options.Until) {
			continue
		}
		if err := r.take(e); err != nil {
			return err
		}
	}
	return nil
}
