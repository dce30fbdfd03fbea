package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/lifecycle"
)

// settled is how long a container without a health check must have run to count as ready. One that ends at once, for a
// missing file or a port in use, is not: docker compose does not look before half a second either.
const settled = 500 * time.Millisecond

// reach waits until a container has come as far as until, and fails when it cannot any more.
func (c client) reach(ctx context.Context, r state.Record, until pod.Until) error {
	for {
		if _, err := c.ask(ctx, control.Request{Wait: &control.Wait{ID: r.ID, Until: until}}); err != nil {
			return err
		}
		if until != pod.UntilReady || lifecycle.Checked(r.Container) {
			return nil
		}
		run, err := c.run(ctx, r.ID)
		if err != nil {
			return err
		}
		if run.State != pod.StateRunning {
			if run.State == pod.StateExited && run.ExitCode == 0 {
				return nil
			}
			continue
		}
		rest := settled - time.Since(run.StartedAt)
		if rest <= 0 {
			return nil
		}
		if err := c.outlive(ctx, r.ID, rest); err != nil {
			return err
		}
	}
}

// stays waits for a while, in which a container that has come as far as until must neither end nor become unhealthy. One
// that has ended well by then has no more to do.
func (c client) stays(ctx context.Context, r state.Record, until pod.Until, while time.Duration) error {
	run, err := c.run(ctx, r.ID)
	if err != nil || run.State == pod.StateExited {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, while)
	defer cancel()
	_, err = c.ask(bounded, control.Request{Wait: &control.Wait{ID: r.ID, Began: run.StartedAt}})
	if err == nil {
		return fmt.Errorf("container %q was ready and has ended within %s", r.Container.Name, while)
	}
	if bounded.Err() == nil || ctx.Err() != nil {
		return err
	}
	return c.reach(ctx, r, until)
}

// outlive returns when a container has ended for good, or after a while.
func (c client) outlive(ctx context.Context, id string, while time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, while)
	defer cancel()
	_, err := c.ask(bounded, control.Request{Wait: &control.Wait{ID: id}})
	if bounded.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// run is what has become of a container's process.
func (c client) run(ctx context.Context, id string) (pod.Run, error) {
	reply, err := c.status(ctx)
	for _, container := range reply.Containers {
		if container.ID == id {
			return container.Run, nil
		}
	}
	return pod.Run{}, err
}
