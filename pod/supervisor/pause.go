package supervisor

import (
	"context"
	"fmt"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/lifecycle"
	"github.com/pcompose/pcompose/pod/runtime"
)

// pause freezes a container and replies when it is frozen.
func (s *server) pause(ctx context.Context, p control.Pause) (control.Reply, error) {
	return s.inContainer(ctx, p.ID, func(c *container) error {
		switch run := c.run.Run; {
		case run.State == pod.StatePaused: // by whom may change
		case run.State != pod.StateRunning || c.ending:
			return fmt.Errorf("cannot pause container %q: it is not running", c.bundle.Container.Name)
		case c.run.Stopping:
			return fmt.Errorf("cannot pause container %q: it was asked to end", c.bundle.Container.Name)
		}
		s.happen(ctx, c, lifecycle.Pause{Held: p.Held})
		return nil
	}, func(c *container) (bool, error) {
		if c.run.Pausing {
			return false, nil
		}
		return true, unless(c.run.Run.State == pod.StatePaused, "cannot pause container %q: %s", c)
	})
}

// hold pauses a container for as long as the client's connection lasts.
func (s *server) hold(ctx context.Context, conn *control.Conn, id string) {
	reply, err := s.pause(ctx, control.Pause{ID: id, Held: true})
	if err != nil {
		reply.Error = plain(err)
	}
	if conn.Send(reply) == nil && err == nil {
		var none struct{}
		_, _ = conn.Receive(&none) // a client says nothing more: what Receive returns is its end
	}
	_ = s.do(ctx, func() { // fails where the supervisor ends: the next one releases what it finds held
		if c := s.containers[id]; c != nil {
			s.happen(ctx, c, lifecycle.Release{})
		}
	})
}

// unpause thaws a container and replies when it goes on.
func (s *server) unpause(ctx context.Context, id string) (control.Reply, error) {
	return s.inContainer(ctx, id, func(c *container) error {
		if !c.run.Pausing {
			s.happen(ctx, c, lifecycle.Unpause{})
		}
		return nil
	}, func(c *container) (bool, error) {
		if c.run.Pausing || c.run.Resuming {
			return false, nil
		}
		return true, unless(c.run.Run.State != pod.StatePaused, "cannot unpause container %q: %s", c)
	})
}

func unless(done bool, format string, c *container) error {
	why := c.frozenErr
	switch {
	case done:
		return nil
	case why == "":
		why = "it is " + string(c.run.Run.State) + " now"
	}
	return fmt.Errorf(format, c.bundle.Container.Name, why)
}

// freeze and thaw run beside the loop, one at a time a container.
func (s *Supervisor) freeze(ctx context.Context, c *container) {
	c.freezer.Lock()
	defer c.freezer.Unlock()
	rt := runtimeOf(s, c.bundle)
	why := settle(ctx, rt, rt.Pause(ctx, c.bundle.ID), runtime.State{ID: c.bundle.ID, Status: runtime.Paused})
	_ = s.do(ctx, func() { // fails where the supervisor ends: the next one freezes again
		c.frozenErr = why
		s.happen(ctx, c, lifecycle.Frozen{At: time.Now(), Err: why})
	})
}

func (s *Supervisor) thaw(ctx context.Context, c *container) {
	c.freezer.Lock()
	defer c.freezer.Unlock()
	rt := runtimeOf(s, c.bundle)
	why := settle(ctx, rt, rt.Resume(ctx, c.bundle.ID), runtime.State{ID: c.bundle.ID, Status: runtime.Running})
	_ = s.do(ctx, func() { // as in freeze
		c.frozenErr = why
		s.happen(ctx, c, lifecycle.Thawed{At: time.Now(), Err: why})
	})
}

// settle says why a container is not what it should be. A supervisor that was killed in the middle may have made it
// that before, which the runtime takes for an error.
func settle(ctx context.Context, rt runtime.Runtime, err error, want runtime.State) string {
	if err == nil {
		return ""
	}
	if st, stateErr := rt.State(ctx, want.ID); stateErr == nil && st.Status == want.Status {
		return ""
	}
	return plain(err)
}
