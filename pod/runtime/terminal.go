package runtime

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// execConsole has the program send us the terminal of the command. crun relays a terminal of its own as well, but up to
// 1.8 only the signal of a resize and not the size.
func (c *call) execConsole(ctx context.Context, args []string, a Attachment) (*Process, error) {
	socket, err := consoleSocket(c.path("tty"))
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	p, err := Attach(ctx, c.command(streams{}, append([]string{args[0], "--console-socket", c.path("tty")}, args[1:]...)), a)
	if err != nil {
		return nil, err
	}
	received := make(chan struct{})
	go func() {
		select {
		case <-p.Done():
			socket.Close() // the program has failed before it sent anything
		case <-received:
		}
	}()
	// The end of the program ends this too, by the socket or by the connection.
	p.Console, err = receiveConsole(socket, time.Time{})
	close(received)
	if err != nil {
		// A command that cannot be run has an exit code and an explanation all the same. Its terminal is one at its end.
		if p.Console, err = endedPTY(); err != nil {
			return nil, errors.Join(err, p.Kill())
		}
	}
	return p, nil
}

// endedPTY is a master without a slave: reading it says at once that nothing more will come.
func endedPTY() (*os.File, error) {
	master, slave, err := OpenPTY()
	if err == nil {
		slave.Close()
	}
	return master, err
}

// execRelayed gives the program a terminal of ours as its own, which it relays to the one in the container: runc takes a
// console socket only when it detaches, and a detached command's exit code would go to the subreaper.
func (c *call) execRelayed(ctx context.Context, o ExecOptions, args []string, a Attachment) (*Process, error) {
	master, slave, err := OpenPTY()
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	if size := o.Process.ConsoleSize; size != nil {
		err = Resize(master, uint16(size.Height), uint16(size.Width))
	}
	if err == nil {
		cmd := c.command(streams{slave, slave, slave}, args)
		// Its controlling terminal, so that a resize of ours reaches it as SIGWINCH.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		a.Console = master
		p, e := Attach(ctx, cmd, a)
		if e == nil {
			return p, nil
		}
		err = e
	}
	master.Close()
	return nil, err
}
