package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/lifecycle"
	"golang.org/x/sys/unix"
)

// container is one container's place in the loop.
type container struct {
	bundle control.Bundle
	dir    string
	run    control.Run
	// output moves what the container writes to its logs; nil while it does not run.
	output *output
	timers map[lifecycle.Timer]*time.Timer
	// waiters wait for a condition; each is asked after every event and removed when it says it is done.
	waiters []func(*container) (done bool)
	// probing ends the probe that runs; nil when none does. probes counts them: a late one is not the newest.
	probing context.CancelFunc
	probes  int
	// work are the probes and hooks that run in the container: programs of the runtime, which outlive its end a little.
	work sync.WaitGroup
	// freezer is held by who freezes or thaws, beside the loop; frozenErr is why the last of them failed.
	freezer   sync.Mutex
	frozenErr string
	// hooks are those that run.
	hooks map[hookKey]*hookRun
	// shown is what the network was last told of.
	shown shown
	// ending says that the process has ended and its output is being stored.
	ending bool
}

// shown is what the network knows of a container.
type shown struct{ runs, ready bool }

func (s *Supervisor) bundleDir(id string) string { return filepath.Join(s.dir, "containers", id) }

// find is the container with that ID, read from its bundle when it is asked for the first time.
func (s *Supervisor) find(id string) (*container, error) {
	if c := s.containers[id]; c != nil {
		return c, nil
	}
	if s.forgotten[id] { // its bundle may still be there
		return nil, fmt.Errorf("cannot find container %.12s: it has been removed: %w", id, fs.ErrNotExist)
	}
	b, err := control.ReadBundle(s.bundleDir(id))
	if err != nil {
		return nil, fmt.Errorf("cannot find container %.12s: %w", id, err)
	}
	c := &container{bundle: b, dir: s.bundleDir(id), timers: map[lifecycle.Timer]*time.Timer{}}
	c.run.Run.State = pod.StateCreated
	s.containers[id] = c
	return c, nil
}

// happen takes an event through the container's life: state, effects, whoever waits for it.
func (s *Supervisor) happen(ctx context.Context, c *container, e lifecycle.Event) {
	state, effects := lifecycle.Next(c.bundle.Container, c.run.State, e)
	before := c.run.State
	c.run.State = state
	if err := control.WriteRun(c.dir, c.run); err != nil {
		s.warn("%v", err)
	}
	s.journal.changes(c.bundle, before, state)
	// Who is to end gets no connections any more when its signal comes.
	show(s, c)
	for _, effect := range effects {
		s.carryOut(ctx, c, effect)
	}
	s.changed(c)
}

// changed tells the network and those who wait for the container's state.
func (s *Supervisor) changed(c *container) {
	show(s, c)
	waiting := c.waiters
	c.waiters = nil
	for _, w := range waiting {
		if !w(c) {
			c.waiters = append(c.waiters, w)
		}
	}
	for w := range s.watchers {
		w.poke()
	}
}

func (s *Supervisor) carryOut(ctx context.Context, c *container, e lifecycle.Effect) {
	switch e := e.(type) {
	case lifecycle.Launch:
		s.launch(ctx, c)
	case lifecycle.Signal:
		if err := c.signal(e.Name); err != nil {
			s.warn("%v", err)
			break
		}
		s.journal.killing(c.bundle, e.Name)
	case lifecycle.Arm:
		c.disarm(e.Timer)
		var t *time.Timer
		t = time.AfterFunc(e.In, func() {
			s.post(ctx, func() {
				if c.timers[e.Timer] == t { // else it was disarmed on the way here
					delete(c.timers, e.Timer)
					s.happen(ctx, c, lifecycle.Due{At: time.Now(), Timer: e.Timer})
				}
			})
		})
		c.timers[e.Timer] = t
	case lifecycle.Disarm:
		c.disarm(e.Timer)
		if e.Timer == lifecycle.TimerProbe && c.probing != nil {
			c.probing()
			c.probing = nil // the next run's first probe does not wait for this one's end
			c.probes++
		}
	case lifecycle.RunProbe:
		s.probe(ctx, c)
	case lifecycle.Freeze:
		go s.freeze(ctx, c)
	case lifecycle.Thaw:
		go s.thaw(ctx, c)
	}
}

func (c *container) disarm(t lifecycle.Timer) {
	if timer := c.timers[t]; timer != nil {
		timer.Stop()
		delete(c.timers, t)
	}
}

// signal sends a signal to the container's first process; "" is its stop signal. Where the PID namespace is not the
// container's own, the others end when the runtime deletes what is left of it: see end.
func (c *container) signal(name string) error {
	if name == "" {
		name = c.bundle.Container.Stop.Signal
	}
	sig := unix.SIGTERM
	if name != "" {
		n, err := signalNumber(name)
		if err != nil {
			return err
		}
		sig = n
	}
	if !c.run.Run.State.Alive() || c.run.Run.PID == 0 {
		return fmt.Errorf("cannot signal container %q: it is not running", c.bundle.Container.Name)
	}
	// A pidfd of a process whose start time is checked after it was opened cannot name another process
	// (pidfd_open(2)): pids are reused.
	fd, err := unix.PidfdOpen(c.run.Run.PID, 0)
	if err == nil {
		defer unix.Close(fd)
		if start, timeErr := keeper.StartTime(c.run.Run.PID); timeErr != nil || start != c.run.Start {
			return nil // it has ended: its exit is on its way
		}
		err = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("cannot signal container %q: %w", c.bundle.Container.Name, err)
	}
	return nil
}

// exited takes an exit that the keeper recorded to its container.
func (s *Supervisor) exited(ctx context.Context, exit keeper.Exit) {
	for _, c := range s.containers {
		if c.run.Run.PID == exit.PID && c.run.Start == exit.Start && !c.ending {
			s.end(ctx, c, exit.At, exitCode(unix.WaitStatus(exit.Status)))
			return
		}
	}
	if len(s.strays) >= 1024 { // orphans of containers in the host's PID namespace are never claimed
		clear(s.strays)
	}
	s.strays[exit.PID] = exit
}

// end stores what the container has still written, removes what the runtime holds of it, and only then lets
// the exit happen: who waited for it finds the output complete.
func (s *Supervisor) end(ctx context.Context, c *container, at time.Time, code int) {
	c.ending = true
	out, b := c.output, c.bundle
	go func() {
		if out != nil {
			out.drain()
		}
		oom := oomKilled(b.Cgroup)
		if err := runtimeOf(s, b).Delete(ctx, b.ID, true); err != nil {
			s.warn("%v", err)
		}
		s.post(ctx, func() {
			if c.output != nil {
				c.output.close(s.keeper)
				c.output = nil
			}
			c.ending = false
			s.happen(ctx, c, lifecycle.Exited{At: at, Code: code, OOMKilled: oom})
		})
	}()
}

// exitCode is 128+n after signal n, as shells have it.
func exitCode(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
