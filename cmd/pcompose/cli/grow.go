package cli

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

// growing are the logs of a pod that is being brought up. Its Watch goes on while containers come: an engine's tells
// only of those there are when it begins.
type growing struct {
	logSource
	// again asks for containers to be looked for once more.
	again chan struct{}
	// settled says that the pod is up: from then on its end is the end.
	settled atomic.Bool
	// gone, when closed, ends the watch; left is closed when nobody watches any more.
	gone, left chan struct{}
}

func newGrowing(source logSource) *growing {
	return &growing{logSource: source, again: make(chan struct{}, 1), gone: make(chan struct{}), left: make(chan struct{})}
}

// look looks for containers once more. It never blocks.
func (g *growing) look() {
	select {
	case g.again <- struct{}{}:
	default: // a look that has not begun yet will see them
	}
}

// settle says that the pod is up.
func (g *growing) settle() {
	g.settled.Store(true)
	g.look()
}

// leave ends the watch; what was written so far is still shown.
func (g *growing) leave() { close(g.gone) }

// fresh is a pod's containers and logs as they are remembered now: a container that was made anew is another one.
type fresh struct{ project func() logSource }

// Watch is logSource's.
func (f fresh) Watch(ctx context.Context) (<-chan pod.ContainerStatus, error) {
	return f.project().Watch(ctx)
}

// Logs is logSource's.
func (f fresh) Logs(ctx context.Context, container string, opt logs.ReadOptions, do func(logs.Line) error) error {
	return f.project().Logs(ctx, container, opt, do)
}

// Watch sends the status of every container, and of those that change, more than once where it was asked to look again.
func (g *growing) Watch(ctx context.Context) (<-chan pod.ContainerStatus, error) {
	out := make(chan pod.ContainerStatus)
	go func() {
		defer close(out)
		g.forward(ctx, out)
	}()
	return out, nil
}

func (g *growing) forward(ctx context.Context, out chan<- pod.ContainerStatus) {
	var changes <-chan pod.ContainerStatus
	cancel := func() {}
	defer func() { cancel() }()
	for !g.settled.Load() || changes != nil {
		select {
		case <-g.again:
			cancel()
			watching, stop := context.WithCancel(ctx)
			cancel = stop
			var err error
			if changes, err = g.logSource.Watch(watching); err != nil {
				changes = nil // there is no pod yet, or no more
			}
		case c, open := <-changes:
			if !open {
				changes = nil
				continue
			}
			select {
			case out <- c:
			case <-g.gone:
				return
			case <-ctx.Done():
				return
			}
		case <-g.gone:
			return
		case <-ctx.Done():
			return
		}
	}
}

// starts is a doer that tells of starts: once before the first, and after each.
type starts struct {
	execute.Doer
	first func()
	then  func()
}

// Do does an action.
func (s *starts) Do(ctx context.Context, action planner.Action, report func(execute.Progress)) error {
	if _, ok := action.(planner.StartContainer); !ok {
		return s.Doer.Do(ctx, action, report)
	}
	s.first()
	defer s.then()
	return s.Doer.Do(ctx, action, report)
}

// telling wraps a doer with calls for starts.
func telling(first, then func()) func(execute.Doer) execute.Doer {
	return func(d execute.Doer) execute.Doer { return &starts{d, sync.OnceFunc(first), then} }
}
