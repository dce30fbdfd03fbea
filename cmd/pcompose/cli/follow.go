package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

// follower shows the output of a pod's containers while they run, those that start later too.
type follower struct {
	reader
	// prints chooses the containers whose output shows; watches, those whose end counts, nil for the same.
	prints, watches func(pod.ContainerStatus) bool
	// exits is told of each end of a container that is watched; nil for nobody. tells shows it too.
	exits func(pod.ContainerStatus)
	tells bool
	now   func() time.Time
	// grown brings the containers once all that will start have started: before, their end is not the end. nil where
	// nothing starts.
	grown chan []pod.ContainerStatus
	// acting tells that containers are stopped to be started again, whose end is not the end, and once they have been, what
	// there is. nil where nobody does that.
	acting chan acting

	entries chan shown
	readers sync.WaitGroup
	errs    chan error
	seen    map[string]*followed
	// busy says that acting began.
	busy bool
}

// acting is the beginning of what acts on containers, or with over its end.
type acting struct {
	over bool
	all  []pod.ContainerStatus
}

// shown is an entry, if it has a name, and what follows when it has been printed; nil is nothing.
type shown struct {
	ui.Entry
	then func()
}

// followed is what is known of one container.
type followed struct {
	// run is its last state; since is, of an end, its time, or that of a later line that its reader has shown: it may read
	// what the next run wrote.
	run   pod.Run
	since time.Time
	// gone ends the reader once it has read everything; nil where there is no reader.
	gone chan struct{}
	done chan struct{}
	// told is when the last end that was shown came: a restart shows as several states, with one end.
	told time.Time
}

// run follows until every container watched has ended, the pod is gone, or ctx ends, and then has shown all that
// was written before. It begins with the containers as they were observed.
func (f *follower) run(ctx context.Context, observed []pod.ContainerStatus) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.watches == nil {
		f.watches = f.prints
	}
	f.entries, f.seen, f.errs = make(chan shown, printed), map[string]*followed{}, make(chan error, 1)
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		f.inOrder()
	}()
	err := f.watch(ctx, observed)
	for _, c := range f.seen {
		c.end()
	}
	if err != nil {
		cancel()
	}
	f.readers.Wait()
	close(f.entries)
	// What standard output does not take holds nothing up once the user wants to leave.
	select {
	case <-printed:
	case <-ctx.Done():
	}
	return err
}

func (f *follower) watch(ctx context.Context, observed []pod.ContainerStatus) error {
	changes, err := f.source.Watch(ctx)
	if err != nil {
		return err
	}
	for _, c := range observed {
		f.note(ctx, c)
	}
	for !f.over() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-f.errs:
			return err
		case all := <-f.grown:
			f.grown = nil
			for _, c := range all {
				f.note(ctx, c)
			}
		case a := <-f.acting:
			f.busy = !a.over
			for _, c := range a.all {
				f.note(ctx, c)
			}
		case c, open := <-changes:
			if !open {
				return context.Cause(ctx)
			}
			f.note(ctx, c)
		}
	}
	return nil
}

// over says whether no container that is watched lives any more, or will.
func (f *follower) over() bool {
	for name, c := range f.seen {
		if c.run.State.Alive() && name != pod.WatchLog {
			return false
		}
	}
	return f.grown == nil && !f.busy
}

// overtaken says whether what is told of a container is older than what is known: watches begin anew while a pod grows,
// and the last look at it is beside them.
func (c *followed) overtaken(told pod.Run) bool {
	if !told.StartedAt.Equal(c.run.StartedAt) {
		return told.StartedAt.Before(c.run.StartedAt)
	}
	return c.run.State == pod.StateExited && told.State.Alive()
}

// note takes a container's new state over.
func (f *follower) note(ctx context.Context, c pod.ContainerStatus) {
	if !f.watches(c) {
		return
	}
	now := f.seen[c.Name]
	first := now == nil
	if first {
		now = &followed{told: f.read.Since}
		f.seen[c.Name] = now
	}
	if !first && now.overtaken(c.Run) {
		return
	}
	alive := c.Run.State.Alive()
	// A short run may begin and end between two looks.
	missed := !first && c.Run.State == pod.StateExited && c.Run.StartedAt.After(now.run.StartedAt)
	if f.prints(c) && now.gone == nil && (alive || first || missed) {
		f.start(ctx, c, now)
	}
	ended := now.run.State.Alive() && !alive || missed
	restarting := c.Run.State == pod.StateRestarting && c.Run.FinishedAt.After(now.told)
	if restarting {
		now.told = c.Run.FinishedAt
	}
	now.run = c.Run
	if !alive {
		now.end()
		if c.Run.FinishedAt.After(now.since) {
			now.since = c.Run.FinishedAt
		}
	}
	// A container that had ended before we looked has ended all the same.
	ended = ended || first && c.Run.State == pod.StateExited && c.Run.FinishedAt.After(f.read.Since)
	if !ended && !restarting {
		return
	}
	told := f.end(c, restarting)
	if ended && f.exits != nil {
		told.then = func() { f.exits(c) }
	}
	f.entries <- told
}

// end says that a container ended, behind its last line: its reader has finished, and it is later now.
func (f *follower) end(c pod.ContainerStatus, restarting bool) shown {
	if !f.tells || !f.prints(c) && c.Run.ExitCode == 0 {
		return shown{}
	}
	text := fmt.Sprintf("exited with code %d", c.Run.ExitCode)
	if c.Run.ExitCode == pod.UnknownExit {
		text = "exited with an unknown code"
	}
	if restarting {
		text += " (restarting)"
	}
	return shown{Entry: ui.Entry{Name: shortName(f.project, c.Container), At: f.now(), Text: text, Status: true}}
}

// start reads a container's log from where the last reader ended.
func (f *follower) start(ctx context.Context, c pod.ContainerStatus, now *followed) {
	read := f.read
	if !now.since.IsZero() {
		read.Tail = -1
		if now.since.After(read.Since) {
			read.Since = now.since
		}
	}
	gone, done := make(chan struct{}), make(chan struct{})
	now.gone, now.done, read.Gone = gone, done, gone
	name := shortName(f.project, c.Container)
	f.readers.Add(1)
	go func() {
		defer f.readers.Done()
		defer close(done)
		err := readLog(ctx, f.source, c.Name, read, func(l logs.Line) error {
			now.since = l.At.Add(1) // end waits for the last
			select {
			case f.entries <- shown{Entry: entry(name, l)}:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		if err != nil && ctx.Err() == nil {
			select {
			case f.errs <- err:
			default:
			}
		}
	}()
}

// end lets the reader finish, and waits for it: what is shown next comes behind its last line.
func (c *followed) end() {
	if c.gone == nil {
		return
	}
	close(c.gone)
	<-c.done
	c.gone = nil
}

// window is how long lines are held back to be put in order: the eye does not notice, and lines that two
// containers wrote one after the other have reached us within it.
const window = 20 * time.Millisecond

// inOrder shows entries, those that come within one window in the order of their times.
func (f *follower) inOrder() {
	for e := range f.entries {
		batch := []shown{e}
		timer := time.NewTimer(window)
	collect:
		for len(batch) < 8*printed {
			select {
			case e, open := <-f.entries:
				if !open {
					break collect
				}
				batch = append(batch, e)
			case <-timer.C:
				break collect
			}
		}
		timer.Stop()
		f.flush(batch)
	}
}

// flush shows entries, and does what follows.
func (f *follower) flush(batch []shown) {
	var entries []ui.Entry
	for _, e := range batch {
		if e.Name != "" {
			entries = append(entries, e.Entry)
		}
	}
	f.show.Print(entries)
	for _, e := range batch {
		if e.then != nil {
			e.then()
		}
	}
}
