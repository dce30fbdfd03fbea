package cli

import (
	"context"
	"sync"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// growing are the logs of a pod that is being brought up. Its Watch goes on while containers come: an engine's tells
// only of those there are when it begins.
type growing struct {
	logSource
	// again asks for containers to be looked for once more; closed, the pod has all it will have, and its end is the end.
	again chan struct{}
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

// leave ends the watch; what was written so far is still shown.
func (g *growing) leave() { close(g.gone) }

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
	for again := (<-chan struct{})(g.again); again != nil || changes != nil; {
		select {
		case _, open := <-again:
			if !open {
				again = nil
			}
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
