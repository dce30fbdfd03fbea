package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

// lastLines is how many lines of a failed container's log are shown below the error about it.
const lastLines = 10

// explanation makes errors about containers that were waited for in vain say who waits, and what they wrote last.
type explanation struct {
	spec pod.Spec
	// command is how pcompose is called for the project.
	command string
	// source has the logs to show; nil shows none.
	source logSource
}

// explain adds to each failed wait among the failures of a plan; other errors stay as they are.
func (x explanation) explain(ctx context.Context, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || ctx.Err() != nil {
		return err // a wait that was interrupted says nothing about the container
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		var step *execute.StepError
		if errors.As(err, &step) {
			if wait, ok := step.Step.Action.(planner.WaitContainer); ok {
				err = x.about(ctx, wait, err)
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// about is err with who waits, where to read more, and the container's last lines.
func (x explanation) about(ctx context.Context, wait planner.WaitContainer, err error) error {
	i := slices.IndexFunc(x.spec.Containers, func(c pod.Container) bool { return c.Name == wait.Name })
	if i < 0 {
		return err
	}
	c := x.spec.Containers[i]
	waits := ""
	if who := x.waiting(c.Service, wait.Until); len(who) > 0 {
		verb := "waits"
		if len(who) > 1 {
			verb = "wait"
		}
		what := map[pod.Until]string{pod.UntilHealthy: "health", pod.UntilCompleted: "good end"}[wait.Until]
		if what == "" {
			what = "start"
		}
		waits = fmt.Sprintf(": %s %s for its %s", strings.Join(who, ", "), verb, what)
	}
	text := fmt.Sprintf("%s (see: %s logs %s)", waits, x.command, c.Service)
	var tail strings.Builder
	if x.source != nil {
		// What cannot be read is not worth a second error: the command that is named will say why.
		_ = readLog(ctx, x.source, c.Name, logs.ReadOptions{Tail: lastLines}, func(l logs.Line) error {
			fmt.Fprintf(&tail, "\n%s  | %s", shortName(x.spec.Name, c), l.Text)
			return nil
		})
	}
	return fmt.Errorf("%w%s%s", err, text, tail.String())
}

// waiting are the services that wait for another to come as far as until, in order.
func (x explanation) waiting(service string, until pod.Until) []string {
	var who []string
	for _, c := range x.spec.Containers {
		if slices.ContainsFunc(c.After, func(d pod.Dependency) bool { return d.On == service && d.Until == until }) {
			who = append(who, c.Service)
		}
	}
	slices.Sort(who)
	return slices.Compact(who)
}

// again is how to call pcompose for the same project: with its name, where the file that is found does not say it.
func (env *Env) again(project string) string {
	if len(env.global.files) > 0 || env.global.name != "" && env.global.name != env.getenv("COMPOSE_PROJECT_NAME") {
		return "pcompose -p " + project
	}
	return "pcompose"
}
