package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

// abandon ends a foreground up that failed, or was interrupted, before everything ran. What its services have written is
// shown: nobody has seen it, and it often says what went wrong. An interrupt stops them, as it would have a moment
// later. The error begins with cause.
func (a attachment) abandon(ctx context.Context, r runner, cause error) error {
	env := r.env
	observed, err := r.e.Observe(ctx, a.spec.Name, nil)
	if err != nil {
		return errors.Join(cause, err)
	}
	shown := slices.DeleteFunc(slices.Clone(observed.Containers), func(c pod.ContainerStatus) bool {
		return c.OneOff || c.Run.StartedAt.IsZero() || !slices.Contains(a.prints, c.Service)
	})
	show := env.ui.Log(logDisplay(a.spec.Name, shown, a.opt.noPrefix, a.opt.noColour, a.opt.timestamps))
	read := logs.ReadOptions{Tail: -1, Since: a.since}
	err = reader{r.e.Project(a.spec.Name), a.spec.Name, read, show}.print(ctx, shown)
	var signal interrupted
	alive := slices.ContainsFunc(observed.Containers, func(c pod.ContainerStatus) bool {
		return c.Run.State.Alive() && slices.Contains(a.watched, c.Service)
	})
	if !errors.As(cause, &signal) || !alive {
		return errors.Join(cause, err)
	}
	env.ui.Say("Gracefully stopping... (press Ctrl+C again to leave at once)")
	_, stopErr := r.carryOut(ctx, change{name: a.spec.Name, beside: true, plan: func(observed pod.Status) (*planner.Plan, error) {
		return planner.Stop(observed, a.watched, a.opt.grace), nil
	}})
	return errors.Join(cause, err, stopErr)
}
