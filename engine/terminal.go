package engine

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// keyboard is this process's terminal while it is a container's: in raw mode, its size followed.
type keyboard struct {
	restore func()
	resized chan os.Signal
}

// openKeyboard gives the container's terminal the size of ours, now and whenever it changes, and sets ours to raw mode.
// Where in is no terminal it does nothing.
func openKeyboard(in, master *os.File) (*keyboard, error) {
	k := &keyboard{restore: func() {}, resized: make(chan os.Signal, 1)}
	if in == nil || !term.IsTerminal(int(in.Fd())) {
		return k, nil
	}
	fd := int(in.Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot set the terminal to raw mode: %w", err)
	}
	k.restore = func() { _ = term.Restore(fd, old) } // fails where the terminal has gone
	signal.Notify(k.resized, syscall.SIGWINCH)
	resize(fd, master)
	go func() {
		for range k.resized {
			resize(fd, master)
		}
	}()
	return k, nil
}

// close gives our terminal back. The master must be open until then.
func (k *keyboard) close() {
	signal.Stop(k.resized)
	close(k.resized)
	k.restore()
}

// resize gives the container's terminal the size of ours.
func resize(fd int, master *os.File) {
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err == nil {
		setSize(master, size)
	}
}

// setSize leaves the master in the poller, which os.File.Fd would not.
func setSize(master *os.File, size *unix.Winsize) {
	if raw, err := master.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) }) // the command may have ended
	}
}

// redraw makes a program draw its screen for who has come later: the kernel tells of a size only when it changes
// (ioctl_tty(2)), so it does.
func redraw(master *os.File) {
	raw, err := master.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // as in setSize
		size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
		if err != nil {
			return
		}
		other := *size
		other.Row++
		_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &other)
		_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size)
	})
}

// screen joins this process's terminal to that of a process of exec.
type screen struct {
	master   *os.File
	keyboard *keyboard
	// printed is closed when everything that the process wrote is on the screen.
	printed chan struct{}
}

func openScreen(master *os.File, opt ExecOptions) (*screen, error) {
	keys, err := openKeyboard(opt.Stdin, master)
	if err != nil {
		return nil, err
	}
	s := &screen{master: master, keyboard: keys, printed: make(chan struct{})}
	if opt.Stdin != nil {
		// Ends with the process: a read of a terminal cannot be taken back.
		go func() { _, _ = io.Copy(master, opt.Stdin) }()
	}
	go func() {
		defer close(s.printed)
		if opt.Stdout != nil {
			_, _ = io.Copy(opt.Stdout, master) // EIO is its end: the last process has closed the other side (pty(7))
		}
	}()
	return s, nil
}

func (s *screen) close() {
	<-s.printed
	s.keyboard.close()
	s.master.Close()
}
