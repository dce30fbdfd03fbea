package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

// postStart runs a post_start hook. The supervisor remembers that it ended well.
func postStart(ctx context.Context, p *Project, a planner.RunPostStart) error {
	code, err := runHook(ctx, p, asked{a.Name, a.Hook}, control.Hook{Point: control.PostStart, Index: a.Index})
	switch {
	case err != nil:
		return fmt.Errorf("cannot run post_start hook %d of container %q: %w", a.Index+1, a.Name, err)
	case code != 0:
		return fmt.Errorf("post_start hook %d of container %q exited with %d", a.Index+1, a.Name, code)
	}
	return nil
}

// preStop runs a pre_stop hook. Its failure is a warning: who wants a container to end is not held up by it.
func preStop(ctx context.Context, p *Project, a planner.RunPreStop, report func(execute.Progress)) error {
	code, err := runHook(ctx, p, asked{a.Name, a.Hook}, control.Hook{Point: control.PreStop, Index: a.Index, Within: a.Grace})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errDown): // nothing runs
	case err != nil:
		report(execute.Progress{Warning: fmt.Sprintf("pre_stop hook %d of container %q: %v: it is stopped all the same", a.Index+1, a.Name, err)})
	case code != 0:
		report(execute.Progress{Warning: fmt.Sprintf("pre_stop hook %d of container %q exited with %d: it is stopped all the same", a.Index+1, a.Name, code)})
	}
	return nil
}

// asked is a hook of a container.
type asked struct {
	container string
	hook      pod.Hook
}

// runHook has the supervisor run a hook and returns its exit code.
func runHook(ctx context.Context, p *Project, a asked, req control.Hook) (int, error) {
	r, err := p.record(a.container)
	if err != nil {
		return 0, err
	}
	h := a.hook
	req.ID = r.ID
	req.Process, err = execProcess(p.bundle(r), ExecOptions{
		Argv: h.Command, Env: h.Env, User: h.User, WorkingDir: h.WorkingDir, Privileged: h.Privileged,
	})
	if err != nil {
		return 0, err
	}
	reply, err := p.client().ask(ctx, control.Request{Hook: &req})
	return reply.ExitCode, err
}
