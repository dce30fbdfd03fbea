package supervisor

import (
	"context"
	"errors"
	"os"

	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/logs"
	"golang.org/x/sys/unix"
)

// attach hands out a container's input. A caller that asks again, since the supervisor before died, gets it again.
func (s *server) attach(ctx context.Context, conn *control.Conn, id string) {
	var input *os.File
	var once bool
	var err error
	doErr := s.do(ctx, func() {
		var c *container
		if c, err = s.find(id); err != nil || c.output == nil {
			return
		}
		once = c.bundle.Container.StdinOnce
		input, err = c.output.inputCopy(c.bundle.Container.TTY)
	})
	if err = errors.Join(doErr, err); err != nil {
		_ = conn.Send(control.Reply{Error: plain(err)}) // a client that has gone does not want it
		return
	}
	if input == nil {
		_ = conn.Send(control.Reply{}) // as above
		return
	}
	sendErr := conn.Send(control.Reply{}, input)
	input.Close()
	if once && sendErr == nil {
		_ = s.closeInput(ctx, id) // fails where the supervisor ends: the caller asks for it at its end
	}
}

// closeInput lets go of a stdin that belongs to one caller.
func (s *server) closeInput(ctx context.Context, id string) error {
	return s.do(ctx, func() {
		if c := s.containers[id]; c != nil && c.output != nil && c.bundle.Container.StdinOnce {
			c.output.closeInput(s.keeper)
		}
	})
}

// inputCopy duplicates the file that a container's input goes to; nil where it has none.
func (o *output) inputCopy(tty bool) (*os.File, error) {
	f := o.input
	if tty {
		f = o.sources[logs.Stdout]
	}
	if f == nil {
		return nil, nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	err = raw.Control(func(of uintptr) { fd, dupErr = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, dupErr); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
