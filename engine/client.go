package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
)

// client asks the supervisor of one pod.
type client struct {
	name string
	// dir is the pod's run directory.
	dir string
}

// up says whether the pod's keeper lives, and with it, now or in a moment, its supervisor.
func (c client) up() bool {
	_, alive := keeper.Find(c.dir)
	return alive
}

// answerWithin is how long a supervisor may take to say what it knows. It answers in milliseconds; one that was killed
// has a successor in less than the keeper's longest back-off, five seconds.
const answerWithin = 15 * time.Second

// status asks what runs. Only a supervisor that cannot live does not answer: the keeper starts it again and again.
func (c client) status(ctx context.Context) (control.Reply, error) {
	bounded, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	reply, err := c.ask(bounded, control.Request{Status: &struct{}{}})
	if bounded.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("the supervisor of %q does not answer: %s says why", c.name, filepath.Join(c.dir, "keeper.log"))
	}
	return reply, err
}

// errDown says that a pod has no supervisor.
var errDown = errors.New("the pod is not running")

// ask sends the supervisor a request and waits for its first reply. A supervisor that dies before it replies is
// started anew by the keeper and is asked again: every request but Exec may be repeated.
func (c client) ask(ctx context.Context, req control.Request) (control.Reply, error) {
	reply, files, err := c.askFiles(ctx, req)
	for _, f := range files {
		f.Close()
	}
	return reply, err
}

// askFiles is ask for a reply that brings files, which the caller closes.
func (c client) askFiles(ctx context.Context, req control.Request) (reply control.Reply, files []*os.File, err error) {
	conn, files, err := c.converse(ctx, req, &reply)
	if conn != nil {
		conn.Close()
	}
	return reply, files, err
}

// hold pauses a container until release is called, or this process ends: then the supervisor sees the connection's end.
func (c client) hold(ctx context.Context, id string) (release func() error, err error) {
	var reply control.Reply
	conn, _, err := c.converse(ctx, control.Request{Pause: &control.Pause{ID: id, Held: true}}, &reply)
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		return nil, err
	}
	return func() error {
		defer conn.Close()
		_, err := c.ask(context.WithoutCancel(ctx), control.Request{Unpause: &control.Unpause{ID: id}})
		return err
	}, nil
}

// converse sends a request and receives the first reply, of which an error is one too. The connection stays open.
func (c client) converse(ctx context.Context, req control.Request, reply *control.Reply) (conn *control.Conn, files []*os.File, err error) {
	// A supervisor that cannot live would be asked for ever.
	for range 20 {
		if !c.up() {
			return nil, nil, errDown
		}
		if conn, err = control.Dial(ctx, c.dir); err != nil {
			return nil, nil, err
		}
		files, err = exchange(ctx, conn, req, reply)
		if !lost(err) {
			break
		}
		conn.Close()
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err != nil:
		err = fmt.Errorf("cannot ask the supervisor of %q: %w", c.name, err)
	case reply.Error != "":
		err = errors.New(reply.Error)
	}
	return conn, files, err
}

func exchange(ctx context.Context, c *control.Conn, req control.Request, reply *control.Reply) ([]*os.File, error) {
	stop := c.CloseOn(ctx)
	defer stop()
	if err := c.Send(req); err != nil {
		return nil, err
	}
	return c.Receive(reply)
}

// lost says whether the other end went away in the middle.
func lost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// watch sends changes until the connection ends. Seen is what was sent, over all connections.
func (c client) watch(ctx context.Context, known map[string]pod.ContainerStatus, seen map[string]pod.Run, changes chan<- pod.ContainerStatus) {
	conn, err := control.Dial(ctx, c.dir)
	if err != nil {
		return
	}
	defer conn.Close()
	stop := conn.CloseOn(ctx)
	defer stop()
	if conn.Send(control.Request{Watch: &struct{}{}}) != nil {
		return
	}
	for {
		var reply control.Reply
		if _, err := conn.Receive(&reply); err != nil {
			return
		}
		for _, now := range reply.Containers {
			status, ok := known[now.ID]
			if last, before := seen[now.ID]; !ok || before && same(last, now.Run) {
				continue
			}
			seen[now.ID], status.Run = now.Run, now.Run
			select {
			case changes <- status:
			case <-ctx.Done():
				return
			}
		}
	}
}
