package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Lock takes the project's lock, which one command holds at a time. When another one has it, waiting is
// called once with a description of the holder, and Lock waits. The lock ends with the file: a holder that
// is killed frees it (flock(2)). What one left that was killed before it remembered the project, or after it forgot it,
// is removed by the next.
func (s *Store) Lock(ctx context.Context, project, command string, waiting func(holder string)) (unlock func(), err error) {
	if err := validName(project); err != nil {
		return nil, err
	}
	dir := filepath.Join(s.run, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot lock project %q: %w", project, err)
	}
	f, err := take(ctx, filepath.Join(dir, project), waiting)
	if err != nil {
		return nil, fmt.Errorf("cannot lock project %q: %w", project, err)
	}
	unlock = hold(f, command)
	if err := s.sweep(project); err != nil {
		unlock()
		return nil, fmt.Errorf("cannot remove what is left of project %q: %w", project, err)
	}
	return unlock, nil
}

// sweep removes a state directory that remembers nothing.
func (s *Store) sweep(project string) error {
	if _, err := os.Stat(s.memory(project)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(s.Dir(project))
}

// ErrWatched says that another process watches a project's files.
var ErrWatched = errors.New("it is watched already")

// LockWatch takes the lock of who watches a project's files, which lasts as long as the process. The error is ErrWatched with
// who has it, where that is so for as long as patience: one who is about to end is waited for.
func (s *Store) LockWatch(ctx context.Context, project, command string, patience time.Duration) (unlock func(), err error) {
	if err := validName(project); err != nil {
		return nil, err
	}
	dir := filepath.Join(s.run, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot watch project %q: %w", project, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// No project's name has a dot.
	f, err := take(ctx, filepath.Join(dir, project+".watch"), func(holder string) {
		time.AfterFunc(patience, func() { cancel(fmt.Errorf("%w by %s", ErrWatched, holder)) })
	})
	if err != nil {
		return nil, fmt.Errorf("cannot watch project %q: %w", project, err)
	}
	return hold(f, command), nil
}

// hold notes who has a lock, for those who wait, and gives the way to let go of it.
func hold(f *os.File, command string) (unlock func()) {
	_ = f.Truncate(0) // the text is for waiting people only
	fmt.Fprintf(f, "%d %s\n", os.Getpid(), command)
	return func() {
		// The file goes while the lock is still held: whoever waited for it finds it gone and makes a new one.
		os.Remove(f.Name())
		f.Close()
	}
}

func take(ctx context.Context, path string, waiting func(holder string)) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			if waiting != nil {
				waiting(holder(f))
				waiting = nil
			}
			err = wait(ctx, f)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		if same(f, path) {
			return f, nil
		}
		f.Close() // its holder removed it: lock the one that is there now
	}
}

// wait takes the lock in a goroutine, so that ctx can end the wait; the goroutine then ends with the holder.
func wait(ctx context.Context, f *os.File) error {
	own, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	taken := make(chan error, 1)
	go func() {
		err := unix.Flock(own, unix.LOCK_EX)
		for errors.Is(err, unix.EINTR) {
			err = unix.Flock(own, unix.LOCK_EX)
		}
		// Both descriptors are one open file and share its lock: closing this one keeps it.
		unix.Close(own)
		taken <- err
	}()
	select {
	case err := <-taken:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func same(f *os.File, path string) bool {
	a, errA := f.Stat()
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// holder describes who holds the lock, from what it wrote there.
func holder(f *os.File) string {
	b := make([]byte, 256)
	n, _ := f.ReadAt(b, 0)
	pid, command, ok := strings.Cut(strings.TrimSpace(string(b[:n])), " ")
	if _, err := strconv.Atoi(pid); !ok || err != nil {
		return "another command"
	}
	return fmt.Sprintf("%s (pid %s)", command, pid)
}
