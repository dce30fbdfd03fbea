package runtime

import (
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// OpenPTY makes a pseudo terminal in raw mode: what is written to one side arrives unchanged at the other.
func OpenPTY() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open pseudo terminal: %w", err)
	}
	defer func() {
		if err != nil {
			master.Close()
		}
	}()
	var n uint32
	err = control(master, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err = unix.IoctlGetUint32(fd, unix.TIOCGPTN)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot unlock pseudo terminal: %w", err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open pseudo terminal: %w", err)
	}
	if err = control(slave, makeRaw); err != nil {
		slave.Close()
		return nil, nil, fmt.Errorf("cannot set pseudo terminal raw: %w", err)
	}
	return master, slave, nil
}

// makeRaw is cfmakeraw(3), and no ONLCR: runc switches OPOST on again for the terminal it relays to, and would double
// each carriage return.
func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST | unix.ONLCR
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// Resize sets a terminal's size in characters; its foreground processes get SIGWINCH.
func Resize(console *os.File, rows, columns uint16) error {
	err := control(console, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	})
	if err != nil {
		return fmt.Errorf("cannot resize terminal: %w", err)
	}
	return nil
}

// control reaches a file's descriptor without taking it out of the poller, as File.Fd would.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// consoleSocket is where a runtime sends the master side of the terminal it made (runc's docs/terminals.md).
func consoleSocket(path string) (*net.UnixListener, error) {
	// sun_path of unix(7) holds 108 bytes with the final NUL.
	if len(path) > 107 {
		return nil, fmt.Errorf("cannot listen on console socket %q: path longer than 107 bytes", path)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on console socket: %w", err)
	}
	return l, nil
}

// receiveConsole takes the terminal out of the socket's queue, or waits for it until deadline, where there is one.
func receiveConsole(l *net.UnixListener, deadline time.Time) (*os.File, error) {
	if err := l.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("cannot receive console: %w", err)
	}
	conn, err := l.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("cannot receive console: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("cannot receive console: %w", err)
	}
	name, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	// ReadMsgUnix sets MSG_CMSG_CLOEXEC.
	_, n, _, _, err := conn.ReadMsgUnix(name, oob)
	if err != nil {
		return nil, fmt.Errorf("cannot receive console: %w", err)
	}
	fd, err := descriptor(oob[:n])
	if err != nil {
		return nil, fmt.Errorf("cannot receive console: %w", err)
	}
	// Non-blocking, so that Go's poller serves it and Close ends a Read.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot receive console: %w", err)
	}
	return os.NewFile(uintptr(fd), "console"), nil
}

// descriptor is the one that a message brought (unix(7), SCM_RIGHTS).
func descriptor(oob []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return -1, err
	}
	if len(messages) != 1 {
		return -1, fmt.Errorf("it came with %d control messages", len(messages))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return -1, err
	}
	if len(fds) != 1 {
		return -1, fmt.Errorf("it came with %d descriptors", len(fds))
	}
	return fds[0], nil
}
