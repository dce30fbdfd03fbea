package watch

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/pcompose/pcompose/planner/trigger"
)

// The pauses that end a burst, and how long one may last. An editor saves what it has open within milliseconds; a formatter
// that runs at each save writes once more some 100 ms later.
const (
	syncPause = 15 * time.Millisecond
	syncLimit = 100 * time.Millisecond
	actPause  = 200 * time.Millisecond
	actLimit  = 2 * time.Second
)

// late is how long before it is read an event may have happened; file systems have coarser clocks, too.
const late = 50 * time.Millisecond

// round is one Run: what has changed and what is to be done about it.
type round struct {
	*Watch
	// files are the paths that have changed; rest ends the wait for a longer pause, after which pending is done.
	files, rest *burst
	pending     trigger.Actions
	// acting says that Act runs, of acts, and acted that it has ended.
	acting bool
	acts   trigger.Actions
	acted  chan struct{}
	// beside are the paths brought in while Act runs, perhaps into containers that it replaces.
	beside map[string]bool
	// begun is when the oldest change came that is not dealt with; of none the time of the last.
	begun time.Time
}

func newRound(w *Watch) *round {
	return &round{
		Watch: w, files: newBurst(syncPause, syncLimit), rest: newBurst(actPause, actLimit), acted: make(chan struct{}, 1),
		beside: map[string]bool{}, begun: time.Now(),
	}
}

func (r *round) stop() {
	r.files.timer.Stop()
	r.rest.timer.Stop()
}

// idle says that all changes have been dealt with.
func (r *round) idle() bool { return r.files.empty() && r.pending.Empty() && !r.acting }

// run deals with changes until there are no more.
func (r *round) run(ctx context.Context, changes <-chan []string) error {
	for {
		select {
		case paths, open := <-changes:
			if !open {
				if r.acting {
					<-r.acted
				}
				return context.Cause(ctx)
			}
			r.take(paths)
			continue
		case <-r.files.timer.C:
			r.bring(ctx)
		case <-r.rest.timer.C:
			r.act(ctx)
		case <-r.acted:
			r.ended(ctx)
		}
		if r.done != nil && r.idle() && ctx.Err() == nil {
			r.done(r.begun.Add(-late))
		}
	}
}

func (r *round) take(paths []string) {
	if len(paths) > 0 && r.idle() {
		r.begun = time.Now()
	}
	r.files.add(paths...)
}

// bring brings files in; what else is asked for waits.
func (r *round) bring(ctx context.Context) {
	paths := r.files.take()
	syncs, actions := r.set.Changed(paths)
	for _, s := range syncs {
		r.do.Sync(ctx, s)
	}
	if r.acting {
		for _, p := range paths {
			r.beside[p] = true
		}
	}
	if !actions.Empty() {
		r.pending = r.pending.And(actions)
		r.rest.add("")
	}
}

func (r *round) act(ctx context.Context) {
	r.rest.take()
	if r.acting || r.pending.Empty() { // the end of what is being done looks again
		return
	}
	r.acting, r.acts, r.pending = true, r.pending, trigger.Actions{}
	go func() {
		r.do.Act(ctx, r.acts)
		r.acted <- struct{}{}
	}()
}

func (r *round) ended(ctx context.Context) {
	r.acting = false
	paths := slices.Sorted(maps.Keys(r.beside))
	clear(r.beside)
	for _, service := range r.acts.Rebuild {
		for _, s := range r.set.Syncs(service, paths) {
			r.do.Sync(ctx, s)
		}
	}
	if !r.pending.Empty() {
		r.rest.add("")
	}
}

// burst collects paths until there is a pause.
type burst struct {
	pause, limit time.Duration
	// timer tells of the pause.
	timer *time.Timer
	paths map[string]bool
	began time.Time
}

func newBurst(pause, limit time.Duration) *burst {
	b := &burst{pause: pause, limit: limit, timer: time.NewTimer(pause), paths: map[string]bool{}}
	b.timer.Stop()
	return b
}

func (b *burst) empty() bool { return len(b.paths) == 0 }

// add collects paths. The pause begins anew, but for a burst that has lasted its time.
func (b *burst) add(paths ...string) {
	if len(paths) == 0 {
		return
	}
	now := time.Now()
	if b.empty() {
		b.began = now
	}
	for _, p := range paths {
		b.paths[p] = true
	}
	b.timer.Reset(min(b.pause, max(0, b.limit-now.Sub(b.began))))
}

// take is what was collected, sorted, and begins a new burst.
func (b *burst) take() []string {
	paths := slices.Sorted(maps.Keys(b.paths))
	clear(b.paths)
	return paths
}
