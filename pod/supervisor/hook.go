package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/lifecycle"
	"github.com/pcompose/pcompose/pod/logs"
	"github.com/pcompose/pcompose/pod/runtime"
)

// hookKey tells the hooks of a container apart.
type hookKey struct {
	point control.Point
	index int
}

// hookRun is a hook that runs, for all who wait for its end.
type hookRun struct {
	done  chan struct{}
	reply control.Reply
	err   error
}

// hook runs a hook, or waits for the end of one that runs: the client that asked for it may have been killed. A
// pre_stop hook of a container that does not run is done, and so is a post_start hook that ended well while its client
// made its plan.
func (s *server) hook(ctx context.Context, req control.Hook) (control.Reply, error) {
	key := hookKey{req.Point, req.Index}
	var run *hookRun
	var err error
	doErr := s.do(ctx, func() {
		var c *container
		if c, err = s.find(req.ID); err != nil {
			return
		}
		if run = c.hooks[key]; run != nil {
			return
		}
		if c.run.Run.State != pod.StateRunning || c.ending {
			if req.Point != control.PreStop {
				err = fmt.Errorf("cannot run %s hook in container %q: it is not running", req.Point, c.bundle.Container.Name)
			}
			return
		}
		if req.Point == control.PostStart && req.Index < c.run.Run.PostStarted {
			return
		}
		run = &hookRun{done: make(chan struct{})}
		if c.hooks == nil {
			c.hooks = map[hookKey]*hookRun{}
		}
		c.hooks[key] = run
		s.runHook(ctx, c, req, run)
	})
	if err = errors.Join(doErr, err); err != nil || run == nil {
		return control.Reply{}, err
	}
	select {
	case <-run.done:
		return run.reply, run.err
	case <-ctx.Done():
		return control.Reply{}, context.Cause(ctx)
	}
}

// runHook runs a hook beside the loop. A post_start hook that ended well is remembered, so that no later up runs it again.
func (s *Supervisor) runHook(ctx context.Context, c *container, req control.Hook, run *hookRun) {
	var log *logs.Log
	if c.output != nil {
		log = c.output.log
	}
	started, rt := c.run.Run.StartedAt, runtimeOf(s, c.bundle)
	c.work.Add(1)
	go func() {
		code, err := execHook(ctx, rt, log, req)
		c.work.Done()
		s.post(ctx, func() {
			run.reply, run.err = control.Reply{ExitCode: code}, err
			delete(c.hooks, hookKey{req.Point, req.Index})
			// The count is of this run of the container.
			if code == 0 && err == nil && req.Point == control.PostStart && c.run.Run.StartedAt.Equal(started) {
				s.happen(ctx, c, lifecycle.PostStarted{Count: req.Index + 1})
			}
			close(run.done)
		})
	}()
}

// execHook is the exit code of a hook. What it wrote is in the log when it returns.
func execHook(ctx context.Context, rt runtime.Runtime, log *logs.Log, req control.Hook) (int, error) {
	if req.Within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, req.Within, fmt.Errorf("it took longer than %s", req.Within.Round(time.Millisecond)))
		defer cancel()
	}
	process := &specs.Process{}
	if err := json.Unmarshal(req.Process, process); err != nil {
		return 0, fmt.Errorf("cannot read the hook to run: %w", err)
	}
	r, w, err := logs.NewPipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if err := w.Chown(int(process.User.UID), int(process.User.GID)); err != nil { // it may open /dev/stdout
		w.Close()
		return 0, err
	}
	p, err := rt.Exec(ctx, runtime.ExecOptions{ID: req.ID, Process: process, Stdout: w, Stderr: w})
	w.Close()
	if err != nil {
		return 0, err
	}
	pumping, stop := context.WithCancel(ctx)
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		report(store(pumping, log, r))
	}()
	code, err := p.Wait() // ctx's end kills it
	stop()
	<-pumped
	if log != nil {
		// A process that the hook left behind holds the pipe open: what it has written until now is all there is.
		report(log.Drain(logs.Hook, r))
		report(log.EndLine(logs.Hook))
	}
	if ctx.Err() != nil {
		return code, context.Cause(ctx)
	}
	return code, err
}

// store keeps what a hook writes, or drops it where the container has no log.
func store(ctx context.Context, log *logs.Log, from *os.File) error {
	if log == nil {
		return logs.Discard(ctx, from)
	}
	return log.Pump(ctx, logs.Hook, from)
}
