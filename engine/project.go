package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
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

// Remember stores what the pod is told to be, before a plan towards it is run, and lets the containers there are know
// each other's names.
func (p *Project) Remember(ctx context.Context, spec pod.Spec) error {
	if err := p.edit(func(s *state.Project) { s.Spec = spec }); err != nil {
		return err
	}
	return rename(ctx, p)
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

func (p *Project) logDir(r state.Record) string { return p.engine.state.LogDir(p.name, r.ID) }

// client asks the pod's supervisor.
func (p *Project) client() client { return client{name: p.name, dir: p.runDir()} }
