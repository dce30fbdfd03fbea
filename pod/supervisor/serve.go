package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/lifecycle"
	"golang.org/x/sys/unix"
)

// server answers requests. It runs beside the loop, in a goroutine for each connection, and does through the loop
// what touches containers.
type server struct{ *Supervisor }

// serve answers on the control socket until ctx ends. Shutdown ends it through cancel, and so does a socket that
// takes no more connections, for want of descriptors say: the next supervisor starts afresh.
func (s *server) serve(ctx context.Context, l *net.UnixListener, cancel context.CancelCauseFunc) {
	context.AfterFunc(ctx, func() { l.Close() })
	for {
		conn, err := control.Accept(l)
		if err != nil {
			cancel(fmt.Errorf("cannot accept connections: %w", err)) // nothing where ctx has ended before
			return
		}
		go func() {
			defer conn.Close()
			stop := conn.CloseOn(ctx)
			defer stop()
			var req control.Request
			files, err := conn.Receive(&req)
			if err != nil {
				return
			}
			if s.answer(ctx, conn, req, files) == nil && req.Shutdown != nil {
				cancel(errShutdown)
			}
		}()
	}
}

// answer does what one request asks for and replies. Its error is the request's, sent already.
func (s *server) answer(ctx context.Context, conn *control.Conn, req control.Request, files []*os.File) error {
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if req.Exec != nil {
		s.exec(ctx, conn, *req.Exec, files)
		return nil
	}
	if req.Watch != nil {
		s.watch(ctx, conn)
		return nil
	}
	if req.Pause != nil && req.Pause.Held {
		s.hold(ctx, conn, req.Pause.ID)
		return nil
	}
	if req.Attach != nil {
		s.attach(ctx, conn, req.Attach.ID)
		return nil
	}
	reply, err := s.reply(ctx, req)
	if errors.Is(err, errShutdown) {
		return err // the connection's end says it better: whoever asks again learns that the pod is down
	}
	if err != nil {
		reply.Error = plain(err)
	}
	_ = conn.Send(reply) // a client that has gone does not want it
	return err
}

func (s *server) reply(ctx context.Context, req control.Request) (control.Reply, error) {
	switch {
	case req.Status != nil:
		return s.status(ctx)
	case req.Start != nil:
		return s.startAndWait(ctx, req.Start.ID)
	case req.Stop != nil:
		return s.inContainer(ctx, req.Stop.ID, func(c *container) error {
			s.happen(ctx, c, lifecycle.Stop{Grace: req.Stop.Grace})
			return nil
		}, stopped)
	case req.Signal != nil:
		return s.inContainer(ctx, req.Signal.ID, func(c *container) error { return s.kill(ctx, c, req.Signal.Name) }, nil)
	case req.Pause != nil:
		return s.pause(ctx, *req.Pause)
	case req.Unpause != nil:
		return s.unpause(ctx, req.Unpause.ID)
	case req.CloseInput != nil:
		return control.Reply{}, s.closeInput(ctx, req.CloseInput.ID)
	case req.Wait != nil:
		return s.wait(ctx, *req.Wait)
	case req.Update != nil:
		return s.inContainer(ctx, req.Update.ID, func(c *container) error { return s.update(c, req.Update.Container) }, nil)
	case req.Forget != nil:
		return control.Reply{}, s.forget(ctx, req.Forget.ID)
	case req.Hook != nil:
		return s.hook(ctx, *req.Hook)
	case req.Publish != nil:
		var reply control.Reply
		var err error
		doErr := s.do(ctx, func() { reply.Ports, err = s.network.publish(req.Publish.Ports) })
		return reply, errors.Join(doErr, err)
	case req.Connect != nil:
		return control.Reply{}, connect(ctx, s, req.Connect.Topology)
	case req.Rename != nil:
		return control.Reply{}, rename(ctx, s, *req.Rename)
	case req.Attend != nil:
		return control.Reply{}, attend(ctx, s.Supervisor, *req.Attend)
	case req.Shutdown != nil:
		return control.Reply{}, s.shutdown(ctx)
	}
	return control.Reply{}, errors.New("this supervisor does not know the request: it is of another version of pcompose")
}

// condition says whether a container has come as far as somebody waits for, or never will.
type condition func(c *container) (reached bool, err error)

// inContainer does something to a container in the loop and replies when the condition is reached; nil at once.
func (s *server) inContainer(ctx context.Context, id string, act func(*container) error, until condition) (control.Reply, error) {
	type outcome struct {
		reply control.Reply
		err   error
	}
	end := make(chan outcome, 1)
	var err error
	doErr := s.do(ctx, func() {
		var c *container
		if c, err = s.find(id); err != nil {
			return
		}
		if act != nil {
			if err = act(c); err != nil {
				return
			}
		}
		if until == nil {
			end <- outcome{}
			return
		}
		ask := func(c *container) bool {
			reached, err := until(c)
			if !reached && err == nil && s.containers[id] != c {
				err = fmt.Errorf("cannot wait for container %q: it has been removed", c.bundle.Container.Name)
			}
			if reached || err != nil {
				end <- outcome{control.Reply{ExitCode: c.run.Run.ExitCode}, err}
			}
			return reached || err != nil
		}
		if !ask(c) {
			c.waiters = append(c.waiters, ask)
		}
	})
	if err = errors.Join(doErr, err); err != nil {
		return control.Reply{}, err
	}
	select {
	case o := <-end:
		return o.reply, o.err
	case <-ctx.Done():
		return control.Reply{}, context.Cause(ctx)
	}
}

func stopped(c *container) (bool, error) {
	return !c.run.Launching && !c.run.Run.State.Alive(), nil
}

// startAndWait starts a container and replies when its process runs, or could not be started. One that has
// ended by then was started all the same.
func (s *server) startAndWait(ctx context.Context, id string) (control.Reply, error) {
	// Whose process has ended runs only in name, until its output is stored: nothing would be started, and told of.
	if _, err := s.inContainer(ctx, id, nil, func(c *container) (bool, error) { return !c.ending, nil }); err != nil {
		return control.Reply{}, err
	}
	return s.inContainer(ctx, id, func(c *container) error {
		if s.forgotten[id] {
			return fmt.Errorf("cannot start container %q: it is being removed", c.bundle.Container.Name)
		}
		s.happen(ctx, c, lifecycle.Start{At: time.Now()})
		return nil
	}, func(c *container) (bool, error) {
		if c.run.Launching {
			return false, nil
		}
		if c.run.Run.Error != "" {
			return false, fmt.Errorf("cannot start container %q: %s", c.bundle.Container.Name, c.run.Run.Error)
		}
		return true, nil
	})
}

func (s *server) wait(ctx context.Context, w control.Wait) (control.Reply, error) {
	return s.inContainer(ctx, w.ID, nil, func(c *container) (bool, error) {
		if run := c.run.Run; !w.Began.IsZero() && (!run.StartedAt.Equal(w.Began) || run.State == pod.StateRestarting) {
			return true, nil
		}
		if w.Until == "" {
			return !c.run.Launching && !c.run.Run.State.Alive() && c.run.Run.State != pod.StateCreated, nil
		}
		return lifecycle.Reached(c.bundle.Container, c.run.State, w.Until)
	})
}

// update takes over what is new of a container, its names and what it listens on too. A new health check starts with its
// next probe.
func (s *server) update(c *container, to pod.Container) error {
	b := c.bundle
	b.Container = to
	if err := control.WriteBundle(c.dir, b); err != nil {
		return err
	}
	c.bundle = b
	tellNetwork(s.Supervisor)
	return nil
}

// status is what is known of every container.
func (s *server) status(ctx context.Context) (reply control.Reply, err error) {
	err = s.do(ctx, func() { reply = s.snapshot() })
	return reply, err
}

func (s *Supervisor) snapshot() control.Reply {
	var reply control.Reply
	for id, c := range s.containers {
		run := c.run.Run
		if c.run.Launching && !run.State.Alive() {
			run.State = pod.StateStarting
		}
		reply.Containers = append(reply.Containers, control.Container{ID: id, Run: run})
	}
	reply.PID = os.Getpid()
	if a := s.attendant; a != nil {
		reply.Watcher = &pod.WatcherStatus{Services: a.order.Watcher.Services, Key: a.order.Watcher.Key, PID: a.pid}
	}
	if s.network.sandbox != nil {
		reply.Topology = s.network.pod.Topology
		reply.Ports = s.network.sandbox.Published()
		reply.Gateway = s.network.sandbox.Gateway().String()
	}
	return reply
}

// watcher is somebody who wants to know of every change. A slow one sees fewer, later states, and holds up nobody.
type watcher struct{ wake chan struct{} }

func (w *watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (s *server) watch(ctx context.Context, conn *control.Conn) {
	w := &watcher{wake: make(chan struct{}, 1)}
	w.poke()
	if s.do(ctx, func() { s.watchers[w] = struct{}{} }) != nil {
		return
	}
	defer s.post(ctx, func() { delete(s.watchers, w) })
	closed := make(chan struct{})
	go func() { // a client says nothing more: what Receive returns is its end
		defer close(closed)
		var none struct{}
		_, _ = conn.Receive(&none)
	}()
	for {
		select {
		case <-w.wake:
			reply, err := s.status(ctx)
			if err != nil || conn.Send(reply) != nil {
				return
			}
		case <-closed:
			return
		case <-ctx.Done():
			return
		}
	}
}

// shutdown ends every container that is left and takes the network down. The process ends when the reply is on
// its way.
func (s *server) shutdown(ctx context.Context) error {
	if err := attend(ctx, s.Supervisor, control.Attend{}); err != nil {
		return err
	}
	var left []string
	if err := s.do(ctx, func() { left = slices.Collect(maps.Keys(s.containers)) }); err != nil {
		return err
	}
	var err error
	for _, id := range left {
		err = errors.Join(err, s.forget(ctx, id))
	}
	doErr := s.do(ctx, func() {
		if err == nil {
			err = s.network.close()
		}
	})
	return errors.Join(doErr, err)
}

// kill sends a user's signal. SIGKILL and the stop signal mean the end; any other may be part of its work.
func (s *server) kill(ctx context.Context, c *container, name string) error {
	sent, err := signalNumber(name)
	if err != nil {
		return err
	}
	stop := unix.SIGTERM
	if c.bundle.Container.Stop.Signal != "" {
		if stop, err = signalNumber(c.bundle.Container.Stop.Signal); err != nil {
			return err
		}
	}
	if err := c.signal(name); err != nil {
		return err
	}
	s.journal.killing(c.bundle, name)
	if sent == unix.SIGKILL || sent == stop {
		s.happen(ctx, c, lifecycle.Killed{})
	}
	return nil
}

// forget ends a container where it still runs, and removes what the supervisor holds of it. A start that was asked
// for before, by a command that was killed since, finds it forgotten.
func (s *server) forget(ctx context.Context, id string) error {
	if err := s.do(ctx, func() { s.forgotten[id] = true }); err != nil {
		return err
	}
	_, err := s.inContainer(ctx, id, func(c *container) error {
		s.happen(ctx, c, lifecycle.Stop{})
		return nil
	}, stopped)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was never started
	}
	var c *container
	if doErr := s.do(ctx, func() { c = s.containers[id] }); doErr != nil || err != nil {
		return errors.Join(err, doErr)
	}
	if c != nil {
		c.work.Wait() // it has ended, so nothing new begins in it: what is removed next is used by nobody
	}
	doErr := s.do(ctx, func() {
		if c := s.containers[id]; c != nil {
			for t := range c.timers {
				c.disarm(t)
			}
			delete(s.containers, id)
			s.changed(c)
		}
	})
	return errors.Join(err, doErr)
}
