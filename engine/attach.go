package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/logs"
	"golang.org/x/sys/unix"
)

// ErrDetached ends an Attach that the user left by its keys, or that a signal ended which was not for the container.
var ErrDetached = errors.New("detached")

// AttachOptions say with which files, keys and signals a caller takes part in a running container.
type AttachOptions struct {
	// Stdin is copied to the container's input where it takes any; nil copies nothing.
	Stdin *os.File
	// Stdout and Stderr get what the container writes. A terminal has Stdout only.
	Stdout, Stderr *os.File
	// FromStart gives what the container wrote before, too.
	FromStart bool
	// DetachKeys leave a container with a terminal; empty for no way to leave it.
	DetachKeys []byte
	// Signals are sent to the container, as they come, unless Leave says whether one ends the attachment.
	Signals <-chan os.Signal
	Leave   func(os.Signal) bool
}

// Attach takes part in a container's run until that ends, and returns its exit code. Output comes from the log, so that
// a caller which does not read holds up nobody; input goes straight to the container's own file. It takes no lock, and
// any number may be attached at once.
func Attach(ctx context.Context, p *Project, c pod.ContainerStatus, opt AttachOptions) (int, error) {
	r, err := p.record(c.Name)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(p.logDir(r), 0o700); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &attaching{project: p, record: r, opt: opt, left: make(chan struct{}), gone: make(chan struct{})}
	shown := a.show(ctx)
	defer a.release()
	if err := a.takeInput(ctx); err != nil {
		return 0, err
	}
	type end struct {
		code int
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		reply, err := p.client().ask(ctx, control.Request{Wait: &control.Wait{ID: r.ID, Began: c.Run.StartedAt}})
		if errors.Is(err, errDown) {
			reply.ExitCode, err = p.engine.rest(p.name, r.ID).ExitCode, nil
		}
		ended <- end{reply.ExitCode, err}
	}()
	for {
		select {
		case e := <-ended:
			close(a.gone)
			if err := <-shown; err != nil && e.err == nil {
				e.err = err
			}
			return e.code, e.err
		case err := <-shown: // what nobody reads any more, say
			if err != nil {
				return 0, err
			}
			shown = make(chan error, 1)
			shown <- nil
			e := <-ended
			return e.code, e.err
		case <-a.left:
			return 0, ErrDetached
		case s := <-opt.Signals:
			if opt.Leave != nil && opt.Leave(s) {
				return 0, ErrDetached
			}
			if number, ok := s.(unix.Signal); ok {
				// A container that has just ended hears nothing; its end is on its way.
				_, _ = p.client().ask(ctx, control.Request{Signal: &control.Signal{ID: r.ID, Name: unix.SignalName(number)}})
			}
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// attaching is one caller's part in a container.
type attaching struct {
	project *Project
	record  state.Record
	opt     AttachOptions
	// input is the container's; nil for none. keys is our terminal while it is the container's.
	input *os.File
	keys  *keyboard
	// left is closed when the user has typed the keys to leave, gone when the container has ended.
	left, gone chan struct{}
}

// show begins to copy the container's output, and returns when nothing that comes from now on is missed.
func (a *attaching) show(ctx context.Context) chan error {
	begun, shown := make(chan struct{}), make(chan error, 1)
	out := map[logs.Stream]io.Writer{logs.Stdout: a.opt.Stdout, logs.Stderr: a.opt.Stderr}
	go func() {
		read := logs.RawOptions{FromEnd: !a.opt.FromStart, Gone: a.gone, Begun: func() { close(begun) }}
		err := logs.Raw(ctx, a.project.logDir(a.record), read, func(s logs.Stream, b []byte) error {
			_, err := out[s].Write(b)
			return err
		})
		shown <- err
	}()
	select {
	case <-begun:
	case err := <-shown: // it could not begin
		shown <- err
	}
	return shown
}

// takeInput gets the container's input and copies the caller's to it.
func (a *attaching) takeInput(ctx context.Context) error {
	c := a.record.Container
	if a.opt.Stdin == nil || !c.Stdin {
		if !c.TTY { // the size of a terminal is the caller's even where its keys are not
			return nil
		}
	}
	_, files, err := a.project.client().askFiles(ctx, control.Request{Attach: &control.Attach{ID: a.record.ID}})
	if errors.Is(err, errDown) || err == nil && len(files) == 0 {
		return nil // it has ended
	}
	if err != nil {
		return fmt.Errorf("cannot attach to container %q: %w", c.Name, err)
	}
	a.input = files[0]
	if c.TTY {
		if a.keys, err = openKeyboard(a.opt.Stdin, a.input); err != nil {
			return err
		}
		if !a.opt.FromStart {
			redraw(a.input)
		}
	}
	if a.opt.Stdin != nil && c.Stdin {
		go a.copyInput(ctx) // ends with this process: a read of a terminal cannot be taken back
	}
	return nil
}

// copyInput copies until the caller's input ends. A stdin that is the caller's alone ends with it.
func (a *attaching) copyInput(ctx context.Context) {
	c := a.record.Container
	if !c.TTY {
		_, _ = io.Copy(a.input, a.opt.Stdin) // EPIPE is the container's choice
		if c.StdinOnce {
			a.input.Close()
			// The supervisor has let go of it, unless it died in the middle.
			_, _ = a.project.client().ask(ctx, control.Request{CloseInput: &control.CloseInput{ID: a.record.ID}})
		}
		return
	}
	keys := &detachKeys{keys: a.opt.DetachKeys}
	buf := make([]byte, 1024)
	for {
		n, err := a.opt.Stdin.Read(buf)
		pass, leave := keys.pass(buf[:n])
		if _, writeErr := a.input.Write(pass); writeErr != nil {
			return
		}
		if leave {
			close(a.left)
			return
		}
		if err != nil {
			return
		}
	}
}

// release gives the terminal back and lets go of the input.
func (a *attaching) release() {
	if a.keys != nil {
		a.keys.close()
	}
	if a.input != nil {
		a.input.Close() // closed before is no harm
	}
}
