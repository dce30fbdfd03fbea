// Package execute is a plan being carried out: order, parallelism, progress and cancellation, and no decisions.
package execute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// Doer does single actions. Do is idempotent: an action done already is a success. It reports progress and
// warnings through report, as often as it likes, until it returns.
type Doer interface {
	Do(ctx context.Context, action planner.Action, report func(Progress)) error
}

// Progress is how far a step has come, in bytes where Total is known, or a warning for the user.
type Progress struct {
	Done, Total int64
	// What names the part in progress: a layer's digest.
	What    string
	Warning string
	// Message is what whoever does the step says of its progress.
	Message string
	// Build is an instruction of a build at work; nil for none.
	Build *pod.BuildStep
}

// State of a step.
type State int

const (
	Started State = iota
	Progressed
	Succeeded
	Failed
	// Skipped steps waited for one that failed, or for a plan that was cancelled.
	Skipped
)

// Event is something that happened to a step.
type Event struct {
	Step     planner.Step
	State    State
	Progress Progress
	Err      error
	// Took is the time from the step's start, of Succeeded and Failed.
	Took time.Duration
}

// StepError is the failure of one step.
type StepError struct {
	Step planner.Step
	Err  error
}

// Error is the cause: the actions' errors name their objects.
func (e *StepError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Run carries out a plan: a step starts as soon as every step it waits for has succeeded (or ended, of those in its
// Past), at most parallel at once (0 is no bound). When a step fails, those that wait for it are skipped and the others go on, so that one
// failed run leaves as little as possible to do. Cancelling ctx starts nothing more and cancels what runs.
// Events reach watch one after the other, in the goroutine that called Run. The error joins every StepError, in
// the order of the steps; a plan that was cancelled before its end without one returns the cause of that.
func Run(ctx context.Context, plan *planner.Plan, doer Doer, parallel int, watch func(Event)) error {
	r := &run{doer: doer, events: make(chan Event), steps: plan.Steps, state: make([]State, len(plan.Steps))}
	for i := range r.state {
		r.state[i] = waiting
	}
	var failed []*StepError
	for running := 0; ; {
		running += r.start(ctx, parallel, running, watch)
		if running == 0 {
			break
		}
		e := <-r.events
		watch(e)
		switch e.State {
		case Failed:
			failed = append(failed, &StepError{e.Step, e.Err})
			fallthrough
		case Succeeded:
			r.state[e.Step.ID-1] = e.State
			running--
		}
	}
	if len(failed) == 0 && slices.Contains(r.state, Skipped) {
		return context.Cause(ctx)
	}
	slices.SortFunc(failed, func(a, b *StepError) int { return a.Step.ID - b.Step.ID })
	errs := make([]error, len(failed))
	for i, f := range failed {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// waiting is the state of a step that has not started.
const waiting State = -1

type run struct {
	doer   Doer
	events chan Event
	steps  []planner.Step
	state  []State
}

// start starts every step that may, skips every one that never will, and returns how many it started.
func (r *run) start(ctx context.Context, parallel, running int, watch func(Event)) int {
	started := 0
	for i, step := range r.steps {
		if r.state[i] != waiting {
			continue
		}
		ready, doomed := true, ctx.Err() != nil
		for _, id := range step.After {
			// Steps only wait for smaller IDs, so one pass sees every skip before its dependents.
			s := r.state[id-1]
			ready = ready && s == Succeeded
			doomed = doomed || s == Failed || s == Skipped
		}
		for _, id := range step.Past {
			s := r.state[id-1]
			ready = ready && s != waiting && s != Started
		}
		switch {
		case doomed:
			r.state[i] = Skipped
			watch(Event{Step: step, State: Skipped})
		case ready && (parallel <= 0 || running+started < parallel):
			r.state[i] = Started
			started++
			watch(Event{Step: step, State: Started})
			go r.do(ctx, step)
		}
	}
	return started
}

// do runs one step and sends its end exactly once, a panic of the action included.
func (r *run) do(ctx context.Context, step planner.Step) {
	begun := time.Now()
	end := Event{Step: step, State: Failed}
	returned := false
	defer func() {
		if p := recover(); !returned { // also when runtime.Goexit ended the action, which recovers nil
			end.Err = fmt.Errorf("cannot %s %s: internal error: %v", step.Describe().Verb, step.Describe().Object(), p)
		}
		end.Took = time.Since(begun)
		r.events <- end
	}()
	end.Err = r.doer.Do(ctx, step.Action, func(p Progress) {
		r.events <- Event{Step: step, State: Progressed, Progress: p}
	})
	if returned = true; end.Err == nil {
		end.State = Succeeded
	}
}
