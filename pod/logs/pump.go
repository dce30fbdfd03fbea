package logs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errStore wraps a failure to store: the bytes are still at the source, or held, and are tried again.
type errStore struct{ error }

func (e errStore) Unwrap() error { return e.error }

// source takes from one file. Its methods return EAGAIN when nothing is there and 0 at the end.
type source interface {
	move(fd int) (int, error)
}

// Pump moves src into the log until every writer has closed it, then returns nil, or until ctx ends. It costs a parked
// goroutine, no thread: src must be non-blocking or is made so. When the log cannot be written, the output stays in
// the pipe and Pump goes on trying; Blocked says why. At most one Pump a source.
//
// For a pipe nothing is lost, doubled or torn by a SIGKILL at any moment. A terminal cannot be spliced to a
// file: what was read and not yet written, at most 4 KiB, dies with the process.
func (l *Log) Pump(ctx context.Context, s Stream, src *os.File) error {
	err := pump(ctx, src, func(fd int) source { return l.source(s, fd) })
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("cannot log %s to %q: %w", s, l.cfg.Dir, err)
	}
	return err
}

// Discard reads src and keeps nothing, for containers without a log, until its end or ctx's.
func Discard(ctx context.Context, src *os.File) error {
	err := pump(ctx, src, func(int) source { return &discard{} })
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("cannot discard output: %w", err)
	}
	return err
}

// Drain moves what is in src now and returns, though some descendant of the container may hold it open and go on
// writing. Stop the Pump of src first. It returns the error where Pump would wait.
func (l *Log) Drain(s Stream, src *os.File) error {
	rc, err := src.SyscallConn()
	if err != nil {
		return fmt.Errorf("cannot drain %s to %q: %w", s, l.cfg.Dir, err)
	}
	var inner error
	err = rc.Control(func(fd uintptr) { inner = l.drain(s, int(fd)) })
	if err := errors.Join(inner, err); err != nil {
		return fmt.Errorf("cannot drain %s to %q: %w", s, l.cfg.Dir, err)
	}
	return nil
}

func (l *Log) drain(s Stream, fd int) error {
	// FIONREAD (TIOCINQ is its other name) at the start is the bound: a writer as fast as we are must not keep us.
	left, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return err
	}
	from := l.source(s, fd)
	for left > 0 {
		n, err := from.move(fd)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN), err == nil && n == 0:
			return nil
		case err != nil:
			return err
		}
		left -= n
	}
	return nil
}

func pump(ctx context.Context, src *os.File, open func(fd int) source) error {
	src, release, err := pollable(src)
	if err != nil {
		return err
	}
	defer release()
	rc, err := src.SyscallConn()
	if err != nil {
		return err
	}
	var from source
	if err := rc.Control(func(fd uintptr) { from = open(int(fd)) }); err != nil {
		return err
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = src.SetReadDeadline(time.Unix(1, 0)) // fails once src is closed, which ends the pump too
		close(fired)
	})
	defer func() {
		if !stop() {
			<-fired
			_ = src.SetReadDeadline(time.Time{}) // as above
		}
	}()
	return carry(ctx, rc, from)
}

// carry runs from until its end. Taking small chunks as they come is right: a pause to let the pipe gather was tried
// under a flood of 100-byte writes and saved nothing.
func carry(ctx context.Context, rc syscall.RawConn, from source) error {
	var n int
	var moved error
	move := func(fd uintptr) bool {
		n, moved = from.move(int(fd))
		return !errors.Is(moved, unix.EAGAIN)
	}
	for retry := time.Duration(0); ; {
		err := rc.Read(move)
		switch full := (errStore{}); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case moved == nil && n == 0:
			return nil
		case moved == nil:
			retry = 0
		case errors.Is(moved, unix.EINTR):
		case errors.As(moved, &full) && !errors.Is(moved, os.ErrClosed):
			// Nothing tells when a disk has room again, so look: soon at first, then every second.
			retry = min(max(2*retry, 10*time.Millisecond), time.Second)
			t := time.NewTimer(retry)
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			t.Stop()
		default:
			return moved
		}
	}
}

// pollable gives a file that parks its reader in the poller. Files that arrive as bare blocking descriptors are
// switched to non-blocking and wrapped anew.
func pollable(f *os.File) (*os.File, func(), error) {
	err := f.SetReadDeadline(time.Time{})
	if err == nil || !errors.Is(err, os.ErrNoDeadline) {
		return f, func() {}, err
	}
	rc, err := f.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var dup int
	var inner error
	err = rc.Control(func(fd uintptr) {
		if inner = unix.SetNonblock(int(fd), true); inner == nil {
			dup, inner = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		}
	})
	if err := errors.Join(err, inner); err != nil {
		return nil, nil, err
	}
	again := os.NewFile(uintptr(dup), f.Name())
	return again, func() { again.Close() }, again.SetReadDeadline(time.Time{})
}
