package logs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watch waits for changes in a log's directory by inotify(7): no polling, no thread. Writes by splice(2) are
// announced like others.
type watch struct {
	file *os.File
	over bool // the directory is gone
	stop func() bool
	quit chan struct{}
}

// newWatch begins to watch, so that nothing which changes after the call is missed.
func newWatch(ctx context.Context, dir string, o ReadOptions) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	const mask = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_DELETE |
		unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(fd, dir, mask); err != nil {
		file.Close()
		return nil, &os.PathError{Op: "inotify_add_watch", Path: dir, Err: err}
	}
	if err := file.SetReadDeadline(o.Until); err != nil { // zero is none
		file.Close()
		return nil, err
	}
	w := &watch{file: file, quit: make(chan struct{})}
	wake := func() { _ = file.SetReadDeadline(time.Unix(1, 0)) } // fails once the watch is closed
	w.stop = context.AfterFunc(ctx, wake)
	if o.Gone != nil {
		go func() {
			select {
			case <-o.Gone:
				wake()
			case <-w.quit:
			}
		}()
	}
	return w, nil
}

func (w *watch) close() {
	w.stop()
	close(w.quit)
	w.file.Close()
}

// wait returns after a change since the last call; io.EOF when nothing more will come, ctx's error when it ended.
func (w *watch) wait(ctx context.Context) error {
	if w.over {
		return io.EOF
	}
	var buf [4096]byte
	n, err := w.file.Read(buf[:])
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return io.EOF // Gone was closed, or Until is past
	case err != nil:
		return err
	}
	for off := 0; off+unix.SizeofInotifyEvent <= n; {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[off]))
		if e.Mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_IGNORED|unix.IN_UNMOUNT) != 0 {
			w.over = true
		}
		// The end of the directory itself goes unsaid as long as somebody has a file of it open, as we have. The
		// lock is the one file that only a removal of the log takes.
		name := buf[off+unix.SizeofInotifyEvent:][:e.Len]
		if e.Mask&unix.IN_DELETE != 0 && string(bytes.TrimRight(name, "\x00")) == lockName {
			w.over = true
		}
		off += unix.SizeofInotifyEvent + int(e.Len)
	}
	return nil
}
