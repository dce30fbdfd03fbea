package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
)

// Project is one project on an engine. It does actions (execute.Doer) under the project's lock.
type Project struct {
	engine *Engine
	name   string
	// editor changes what is remembered; it is opened by the first change.
	editor func() (*state.Editor, error)
}

// Project is the project of that name.
func (e *Engine) Project(name string) *Project {
	p := &Project{engine: e, name: name}
	p.editor = sync.OnceValues(func() (*state.Editor, error) { return e.state.Edit(name) })
	return p
}

// Lock takes the project's lock, which one command at a time holds. When another has it, waiting is called once
// with who that is, and Lock waits. A holder that dies frees it. Unlock first brings the records of root
// filesystems to disk, which were made without fsync each.
func (p *Project) Lock(ctx context.Context, waiting func(holder string)) (unlock func(), err error) {
	release, err := p.engine.state.Lock(ctx, p.name, p.engine.cfg.Command, waiting)
	if err != nil {
		return nil, err
	}
	return func() {
		p.engine.sync()
		release()
	}, nil
}

// Remember stores what the pod is told to be, before a plan towards it is run.
func (p *Project) Remember(spec pod.Spec) error {
	return p.edit(func(s *state.Project) { s.Spec = spec })
}

func (p *Project) edit(change func(*state.Project)) error {
	e, err := p.editor()
	if err != nil {
		return err
	}
	return e.Change(change)
}

// record is what is remembered of a container.
func (p *Project) record(name string) (state.Record, error) {
	e, err := p.editor()
	if err != nil {
		return state.Record{}, err
	}
	r, ok := e.Project().Containers[name]
	if !ok {
		return r, fmt.Errorf("no container named %q", name)
	}
	return r, nil
}

func (p *Project) runDir() string { return p.engine.state.RunDir(p.name) }

// up says whether the pod's keeper lives, and with it, now or in a moment, its supervisor.
func (p *Project) up() bool {
	_, alive := keeper.Find(p.runDir())
	return alive
}

// errDown says that a pod has no supervisor.
var errDown = errors.New("the pod is not running")

// ask sends the supervisor a request and waits for its first reply. A supervisor that dies before it replies is
// started anew by the keeper and is asked again: every request but Exec may be repeated.
func (p *Project) ask(ctx context.Context, req control.Request) (control.Reply, error) {
	var reply control.Reply
	var err error
	// A supervisor that cannot live would be asked for ever.
	for range 20 {
		if !p.up() {
			return reply, errDown
		}
		var c *control.Conn
		if c, err = control.Dial(ctx, p.runDir()); err != nil {
			return reply, err
		}
		err = exchange(ctx, c, req, &reply)
		c.Close()
		if !lost(err) {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return reply, context.Cause(ctx)
	case err != nil:
		return reply, fmt.Errorf("cannot ask the supervisor of %q: %w", p.name, err)
	case reply.Error != "":
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

func exchange(ctx context.Context, c *control.Conn, req control.Request, reply *control.Reply) error {
	stop := c.CloseOn(ctx)
	defer stop()
	if err := c.Send(req); err != nil {
		return err
	}
	_, err := c.Receive(reply)
	return err
}

// lost says whether the other end went away in the middle.
func lost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
