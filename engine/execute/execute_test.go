package execute_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
)

// doer does the step whose number is the name of the container to start.
type doer func(ctx context.Context, id int, report func(execute.Progress)) error

func (d doer) Do(ctx context.Context, a planner.Action, report func(execute.Progress)) error {
	id, err := strconv.Atoi(a.(planner.StartContainer).Name)
	if err != nil {
		return err
	}
	return d(ctx, id, report)
}

// plan has a step for every list of steps to wait for; negative ones may fail.
func plan(waits ...[]int) *planner.Plan {
	p := &planner.Plan{}
	for i, ids := range waits {
		s := planner.Step{ID: i + 1, Action: planner.StartContainer{Name: strconv.Itoa(i + 1)}}
		for _, id := range ids {
			if id < 0 {
				s.Past = append(s.Past, -id)
			} else {
				s.After = append(s.After, id)
			}
		}
		p.Steps = append(p.Steps, s)
	}
	return p
}

// TestRandomPlans carries out random plans whose steps fail at random: a step runs only after all it waits for
// have succeeded, runs if they have, is skipped if one has not, and never more run than may.
func TestRandomPlans(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		waits, fails := make([][]int, 1+rnd.IntN(40)), map[int]bool{}
		for i := range waits {
			for range rnd.IntN(4) {
				if i > 0 {
					id := 1 + rnd.IntN(i)
					waits[i] = append(waits[i], []int{id, id, -id}[rnd.IntN(3)])
				}
			}
			fails[i+1] = rnd.IntN(6) == 0
		}
		randomPlan(t, waits, fails, rnd.IntN(4))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomPlan(t *testing.T, waits [][]int, fails map[int]bool, parallel int) {
	p := plan(waits...)
	var mu sync.Mutex
	running, most := 0, 0
	states := map[int]execute.State{} // only watch writes it, in this goroutine: -race says so
	err := execute.Run(t.Context(), p, doer(func(_ context.Context, id int, report func(execute.Progress)) error {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		report(execute.Progress{Done: 1, Total: 2})
		runtime.Gosched()
		mu.Lock()
		running--
		mu.Unlock()
		if fails[id] {
			return fmt.Errorf("step %d fails", id)
		}
		return nil
	}), parallel, func(e execute.Event) {
		before, seen := states[e.Step.ID]
		switch {
		case e.State == execute.Started:
			for _, id := range e.Step.After {
				if states[id] != execute.Succeeded {
					t.Errorf("step %d starts, and %d has not succeeded", e.Step.ID, id)
				}
			}
			for _, id := range e.Step.Past {
				if s, ended := states[id]; !ended || s == execute.Started || s == execute.Progressed {
					t.Errorf("step %d starts, and %d has not ended", e.Step.ID, id)
				}
			}
			fallthrough
		case e.State == execute.Skipped:
			if seen {
				t.Errorf("step %d starts or is skipped after %v", e.Step.ID, before)
			}
		case before != execute.Started && before != execute.Progressed:
			t.Errorf("step %d: %v after %v", e.Step.ID, e.State, before)
		}
		states[e.Step.ID] = e.State
	})
	if parallel > 0 && most > parallel {
		t.Errorf("%d ran at once, %d may", most, parallel)
	}
	var want []string
	for _, s := range p.Steps {
		doomed := slices.ContainsFunc(s.After, func(id int) bool { return states[id] != execute.Succeeded })
		switch got := states[s.ID]; {
		case doomed && got != execute.Skipped:
			t.Errorf("step %d is %v, and one it waits for has failed", s.ID, got)
		case !doomed && (got == execute.Skipped || (got == execute.Failed) != fails[s.ID]):
			t.Errorf("step %d is %v", s.ID, got)
		}
		if states[s.ID] == execute.Failed {
			want = append(want, fmt.Sprintf("step %d fails", s.ID))
		}
	}
	if got := fmt.Sprint(err); len(want) > 0 && got != strings.Join(want, "\n") || len(want) == 0 && err != nil {
		t.Errorf("error %v, want %q", err, want)
	}
}

// TestPast: a step goes on after one that may fail, or that was skipped.
func TestPast(t *testing.T) {
	ran := map[int]bool{}
	err := execute.Run(t.Context(), plan(nil, []int{1}, []int{-2}, []int{2}), doer(func(_ context.Context, id int, _ func(execute.Progress)) error {
		ran[id] = true
		if id == 1 {
			return errors.New("no")
		}
		return nil
	}), 1, func(execute.Event) {})
	var step *execute.StepError
	if !ran[3] || ran[2] || ran[4] || !errors.As(err, &step) || step.Step.ID != 1 {
		t.Errorf("ran %v, error %v", ran, err)
	}
}

// TestCancel: nothing starts after it, what runs is cancelled and waited for, and the error is the cause.
func TestCancel(t *testing.T) {
	why := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	var states []execute.State
	err := execute.Run(ctx, plan(nil, nil, []int{1}), doer(func(ctx context.Context, id int, _ func(execute.Progress)) error {
		if id == 2 {
			t.Error("starts after the end")
		}
		cancel(why)
		<-ctx.Done()
		return nil // it was done all the same
	}), 1, func(e execute.Event) { states = append(states, e.State) })
	if want := []execute.State{execute.Started, execute.Succeeded, execute.Skipped, execute.Skipped}; !errors.Is(err, why) || !slices.Equal(states, want) {
		t.Errorf("error %v, states %v", err, states)
	}
}

// TestCancelAtTheEnd: a plan that was carried out whole has been, whatever came then.
func TestCancelAtTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := execute.Run(ctx, plan(nil), doer(func(context.Context, int, func(execute.Progress)) error {
		cancel()
		return nil
	}), 0, func(execute.Event) {})
	if err != nil {
		t.Error(err)
	}
}

// TestCancelled: a plan that is cancelled before it begins does nothing; an empty one is done.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never := doer(func(context.Context, int, func(execute.Progress)) error {
		t.Error("runs")
		return nil
	})
	if err := execute.Run(ctx, plan(nil, []int{1}), never, 0, func(execute.Event) {}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := execute.Run(ctx, plan(), never, 0, nil); err != nil {
		t.Error(err)
	}
}

// TestPanic: an action that panics, or ends its goroutine, fails; the others go on.
func TestPanic(t *testing.T) {
	ran := false
	err := execute.Run(t.Context(), plan(nil, nil, nil, []int{1}, []int{3}), doer(func(_ context.Context, id int, _ func(execute.Progress)) error {
		switch id {
		case 1:
			panic("no such thing")
		case 2:
			runtime.Goexit()
		case 5:
			ran = true
		}
		return nil
	}), 0, func(execute.Event) {})
	const want = "cannot start container/1: internal error: no such thing\ncannot start container/2: internal error: <nil>"
	if fmt.Sprint(err) != want || !ran {
		t.Errorf("ran the last: %v, error %v", ran, err)
	}
}

// TestProgress: what a step reports arrives in its order, between its start and its end.
func TestProgress(t *testing.T) {
	var got []int64
	err := execute.Run(t.Context(), plan(nil, nil), doer(func(_ context.Context, id int, report func(execute.Progress)) error {
		for i := range int64(100) {
			report(execute.Progress{Done: i})
		}
		return nil
	}), 0, func(e execute.Event) {
		switch {
		case e.Step.ID == 1 && e.State == execute.Progressed:
			got = append(got, e.Progress.Done)
		case e.Step.ID == 1 && e.State == execute.Succeeded:
			got = append(got, 100)
		}
	})
	if err != nil || len(got) != 101 || !slices.IsSorted(got) {
		t.Errorf("error %v, progress %v", err, got)
	}
}
