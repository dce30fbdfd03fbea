package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

// lastLines is how many lines of a failed container's log are shown below the error about it.
const lastLines = 10

// waitedTooLong is the cause of a context that --wait-timeout ended.
type waitedTooLong struct{ bound string }

func (w waitedTooLong) Error() string { return "timed out after " + w.bound + " of waiting" }

// postMortem turns the failures of a plan into a report: who waits for the container in vain, how it ended, what it wrote
// and what its health check said last, and what was left running.
type postMortem struct {
	spec pod.Spec
	// command is how pcompose is called for the project.
	command string
	// source has the logs to show; nil shows none, where output shows anyway.
	source logSource
	// now is the pod after the failure.
	now pod.Status
	// denied are the ports that containers could not bind.
	denied []pod.Denial
	// plan is what failed.
	plan *planner.Plan
	// project is that of the file, for places in it, as seen from dir; nil where none was read.
	project *compose.Project
	dir     string
}

// report is the error with what is known of it. A plan that the user interrupted failed at nothing.
func (p postMortem) report(ctx context.Context, err error) error {
	var signal interrupted
	if err == nil || errors.As(err, &signal) {
		return err
	}
	var errs []error
	told := map[string]bool{}
	if late := new(waitedTooLong); errors.As(err, late) {
		errs = append(errs, p.unready(ctx, *late, told)...)
	}
	for _, err := range parts(err) {
		var step *execute.StepError
		switch {
		case errors.As(err, new(waitedTooLong)):
			if len(errs) > 0 {
				continue // said of each container
			}
		case errors.As(err, &step):
			err = p.about(ctx, step.Step.Action, err, told)
		}
		errs = append(errs, err)
	}
	if left := p.left(told); left != "" && len(told) > 0 {
		errs = append(errs, errors.New(left))
	}
	return errors.Join(errs...)
}

// parts are the errors that were joined into one, each for itself.
func parts(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, parts(err)...)
	}
	return all
}

// about is the failure of an action on a container with who waits for it, where to read more, and its last lines.
func (p postMortem) about(ctx context.Context, action planner.Action, err error, told map[string]bool) error {
	var name, waits, place string
	said := func(logs.Line) bool { return true }
	switch a := action.(type) {
	case planner.WaitContainer:
		name, waits = a.Name, p.waiting(a)
	case planner.StartContainer:
		name = a.Name
	case planner.CreateContainer:
		name = a.Container.Name
	case planner.RunPostStart:
		c, _ := p.spec.Container(a.Name)
		name, place = a.Name, p.place(fmt.Sprintf("services.%s.post_start[%d]", c.Service, a.Index))
		said = func(l logs.Line) bool { return l.Stream == logs.Hook }
	default:
		return err // of no container
	}
	if c, ok := p.now.Container(name); ok && c.Hook != "" {
		return fmt.Errorf("%s%w%s", p.place("services."+c.Service+"."+c.Hook), err, p.tail(ctx, c.Container, said))
	}
	status, exists := p.now.Container(name)
	c, wanted := p.spec.Container(name)
	if !wanted && status.Succeeds == "" {
		return err
	}
	told[name] = true
	if !wanted {
		c = status.Container
	}
	if !exists || status.Run.StartedAt.IsZero() || status.Run.Error != "" {
		return err // it never ran: nothing but the error is to be said
	}
	return fmt.Errorf("%s%w%s%s (see: %s logs %s)%s", place, err, signalled(status.Run), waits, p.command, c.Service, p.collisions(c)+p.tail(ctx, c, said))
}

// collisions are a line for each port that a container could not bind, with what becomes of it.
func (p postMortem) collisions(c pod.Container) string {
	fix := "let one of them listen on another port"
	if cell := slices.IndexFunc(p.now.Topology.Cells, func(o pod.Cell) bool { return o.Name == c.Cell && o.Mode == "" }); cell >= 0 && c.NetworkMode == "" && c.Sharing != pod.SharingShared {
		fix = fmt.Sprintf("the next `%s up` gives %s a network of its own; `expose:` with the port, at both services, does from the start", p.command, c.Name)
	}
	text := ""
	for _, d := range p.denied {
		if d.Container == c.Name {
			text += fmt.Sprintf("\nport %d/%s was taken by %s, in whose network it runs: %s", d.Port, d.Protocol, d.By, fix)
		}
	}
	return text
}

// place is where a path stands in the file, for the beginning of an error; "" where there is no file.
func (p postMortem) place(path string) string {
	if p.project == nil {
		return ""
	}
	return fmt.Sprintf("%s: %s: ", p.project.At(path).Relative(p.dir), path)
}

// waiting says who waits for what a container should have come to.
func (p postMortem) waiting(wait planner.WaitContainer) string {
	what := map[pod.Until]string{pod.UntilHealthy: "health", pod.UntilCompleted: "good end"}[wait.Until]
	if what == "" {
		what = "start"
	}
	c, _ := p.spec.Container(wait.Name)
	var who []string
	for _, other := range p.spec.Containers {
		if slices.ContainsFunc(other.After, func(d pod.Dependency) bool { return d.On == c.Service && d.Until == wait.Until }) {
			who = append(who, other.Service)
		}
	}
	slices.Sort(who)
	switch who = slices.Compact(who); len(who) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(": %s waits for its %s", who[0], what)
	}
	return fmt.Sprintf(": %s wait for its %s", strings.Join(who, ", "), what)
}

// tail is what a container wrote last, each line on one of its own, of those that count.
func (p postMortem) tail(ctx context.Context, c pod.Container, counts func(logs.Line) bool) string {
	if p.source == nil {
		return ""
	}
	var tail strings.Builder
	// What cannot be read is not worth a second error: the command that is named will say why.
	_ = readLog(context.WithoutCancel(ctx), p.source, c.Name, logs.ReadOptions{Tail: lastLines}, func(l logs.Line) error {
		if counts(l) {
			fmt.Fprintf(&tail, "\n%s  | %s", entry(shortName(p.spec.Name, c), l).Name, l.Text)
		}
		return nil
	})
	return tail.String()
}

// unready is a line for each container that was waited for too long, and for those that wait for it.
func (p postMortem) unready(ctx context.Context, late waitedTooLong, told map[string]bool) []error {
	if p.plan == nil {
		return nil
	}
	var errs []error
	for _, s := range p.plan.Steps {
		name := s.Describe().Name
		c, exists := p.now.Container(name)
		if s.Describe().Kind != planner.KindContainer || !exists || told[name] {
			continue
		}
		why := notReady(c)
		if why == "" {
			continue
		}
		told[name] = true
		errs = append(errs, fmt.Errorf("container %q is not ready after %s: %s%s", name, late.bound, why, p.collisions(c.Container)+p.tail(ctx, c.Container, func(logs.Line) bool { return true })))
	}
	return errs
}

// notReady says why a container is not what up --wait waits for; "" where it is.
func notReady(c pod.ContainerStatus) string {
	run, probe := c.Run, ""
	if n := len(run.Probes); n > 0 {
		probe = fmt.Sprintf("; its last check exited with %d", run.Probes[n-1].ExitCode)
		if out := strings.TrimSpace(run.Probes[n-1].Output); out != "" {
			probe += ": " + out
		}
	}
	switch {
	case run.State == pod.StateRunning && (run.Health == pod.HealthStarting || run.Health == pod.HealthUnhealthy):
		return fmt.Sprintf("it runs, its health is %s%s", run.Health, probe)
	case run.State == pod.StateRestarting:
		return fmt.Sprintf("it ended with exit code %d%s and is restarted, the %s time", run.ExitCode, signalled(run), ordinal(run.Restarts+1))
	case run.State == pod.StateExited && run.ExitCode != 0:
		return fmt.Sprintf("it ended with exit code %d%s", run.ExitCode, signalled(run))
	case run.State == pod.StateCreated || run.State == pod.StatePartial:
		var on []string
		for _, d := range c.After {
			on = append(on, fmt.Sprintf("%s (%s)", d.On, d.Until))
		}
		if len(on) > 0 {
			return "it was not started, as it waits for " + strings.Join(on, ", ")
		}
		return "it was not started"
	case run.State == pod.StateStarting:
		return "its process is being started"
	}
	return ""
}

func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		suffix = [...]string{"th", "st", "nd", "rd", "th", "th", "th", "th", "th", "th"}[n%10]
	}
	return fmt.Sprint(n) + suffix
}

// signalled names the signal that an exit code stands for, by the convention of shells and ours: 128 and its number.
func signalled(run pod.Run) string {
	if run.State.Alive() && run.State != pod.StateRestarting || run.ExitCode <= 128 || run.OOMKilled {
		return ""
	}
	name := unix.SignalName(unix.Signal(run.ExitCode - 128))
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

// left says what runs though the command failed; "" for nothing.
func (p postMortem) left(told map[string]bool) string {
	var names []string
	for _, c := range p.now.Containers {
		if c.Run.State.Alive() && !c.OneOff && !told[c.Name] {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("left running: %s (%s down ends them)", strings.Join(names, ", "), p.command)
}

// again is how to call pcompose for the same project: with its name, where the file that is found does not say it.
func (env *Env) again(project string) string {
	if len(env.global.files) > 0 || env.global.name != "" && env.global.name != env.getenv("COMPOSE_PROJECT_NAME") {
		return "pcompose -p " + project
	}
	return "pcompose"
}
