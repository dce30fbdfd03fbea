package control

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// SupervisorCommand is the hidden command that the keeper starts: `pcompose supervisor DIR`.
const SupervisorCommand = "supervisor"

// Socket is the name of the control socket in a pod's run directory.
const Socket = "control.sock"

// maxMessage bounds what an end reads into memory for the other.
const maxMessage = 64 << 20

// maxFiles bounds the files of one message.
const maxFiles = 8

// Conn carries messages, each a length and JSON, with files beside them.
type Conn struct{ unix *net.UnixConn }

// Listen makes the control socket in dir, in place of one that a dead supervisor left. The socket is handed
// on as a file, so that connections wait in its queue while no supervisor accepts them.
func Listen(dir string) (*os.File, error) {
	short, done, err := shortPath(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot listen in %q: %w", dir, err)
	}
	defer done()
	if err := os.Remove(filepath.Join(dir, Socket)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot remove the socket of a dead supervisor: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen in %q: %w", dir, err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(filepath.Join(dir, Socket), 0o600); err != nil {
		return nil, fmt.Errorf("cannot protect the control socket: %w", err)
	}
	return l.File()
}

// Dial connects to the supervisor of the pod with that run directory.
func Dial(ctx context.Context, dir string) (*Conn, error) {
	short, done, err := shortPath(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the supervisor: %w", err)
	}
	defer done()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", short)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the supervisor: %w", err)
	}
	return &Conn{c.(*net.UnixConn)}, nil
}

// shortPath names the socket through an open directory: sun_path holds 108 bytes (unix(7)), a run directory
// may be longer.
func shortPath(dir string) (path string, done func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), Socket), func() { d.Close() }, nil
}

// Accept takes the next connection whose other end is of the same user, or root; others are dropped.
func Accept(l *net.UnixListener) (*Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := peer(c); err == nil && (uid == uint32(os.Geteuid()) || uid == 0) {
			return &Conn{c}, nil
		}
		c.Close()
	}
}

// peer is the user at the other end (SO_PEERCRED, unix(7)).
func peer(c *net.UnixConn) (uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, credErr); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.unix.Close() }

// CloseOn ends every wait on the connection, now and later, when ctx ends; stop ends that care.
func (c *Conn) CloseOn(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.unix.SetDeadline(time.Unix(1, 0)) }) // fails once it is closed
}

// Send sends one message and duplicates of the files.
func (c *Conn) Send(message any, files ...*os.File) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(body) > maxMessage || len(files) > maxFiles {
		return fmt.Errorf("message of %d bytes with %d files is too long", len(body), len(files))
	}
	var rights []byte
	if len(files) > 0 {
		fds, err := descriptors(files)
		if err != nil {
			return err
		}
		rights = unix.UnixRights(fds...)
		defer runtime.KeepAlive(files)
	}
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	n, _, err := c.unix.WriteMsgUnix(frame, rights, nil)
	if err == nil && n < len(frame) {
		_, err = c.unix.Write(frame[n:])
	}
	return err
}

// descriptors are the files' numbers. (*os.File).Fd would switch them to blocking mode, for all who share them.
func descriptors(files []*os.File) ([]int, error) {
	fds := make([]int, len(files))
	for i, f := range files {
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { fds[i] = int(fd) })
		}
		if err != nil {
			return nil, err
		}
	}
	return fds, nil
}

// Receive reads one message and the files that came with it; io.EOF says that the other end has closed.
func (c *Conn) Receive(message any) ([]*os.File, error) {
	var head [4]byte
	oob := make([]byte, unix.CmsgSpace(4*maxFiles))
	n, oobn, flags, _, err := c.unix.ReadMsgUnix(head[:], oob)
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	files, err := received(oob[:oobn])
	if err == nil && flags&unix.MSG_CTRUNC != 0 {
		err = errors.New("too many files in a message")
	}
	if err == nil {
		err = c.rest(head[n:])
	}
	if err == nil {
		err = c.body(binary.BigEndian.Uint32(head[:]), message)
	}
	if err != nil {
		closeAll(files)
		return nil, err
	}
	return files, nil
}

func (c *Conn) body(size uint32, message any) error {
	if size > maxMessage {
		return fmt.Errorf("message of %d bytes is too long", size)
	}
	body := make([]byte, size)
	if err := c.rest(body); err != nil {
		return err
	}
	return json.Unmarshal(body, message)
}

// rest reads what must follow: an end here is in the middle of a message.
func (c *Conn) rest(b []byte) error {
	_, err := io.ReadFull(c.unix, b)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// received are the files in a control message, close-on-exec as Go's runtime asks recvmsg for.
func received(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
