package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

// attachment is what a foreground up shows, and what ends it.
type attachment struct {
	opt  *upOptions
	spec pod.Spec
	// prints are the services whose output shows; watched are those of the up.
	prints, watched []string
	// since is when up began: what was written before is not ours to show.
	since time.Time
}

func newAttachment(opt *upOptions, project *compose.Project, spec pod.Spec, since time.Time) attachment {
	a := attachment{opt: opt, spec: spec, since: since}
	for _, c := range spec.Containers {
		a.watched = append(a.watched, c.Service)
	}
	if len(opt.services) > 0 {
		a.watched = withDependencies(spec, opt.services)
		if opt.noDeps {
			a.watched = opt.services
		}
	}
	a.prints = opt.services
	switch {
	case len(opt.attach) > 0:
		a.prints = opt.attach
	case len(opt.services) == 0 || opt.attachDependencies:
		a.prints = slices.DeleteFunc(slices.Clone(a.watched), func(s string) bool {
			attach := project.Model.Services[s].Attach
			return attach != nil && !*attach
		})
	}
	a.prints = slices.DeleteFunc(slices.Clone(a.prints), func(s string) bool { return slices.Contains(opt.noAttach, s) })
	return a
}

// follow shows the output of the services until they have ended or a signal comes: the first stops them gracefully,
// the second kills them. What it returns is up's exit code.
func (a attachment) follow(ctx context.Context, r runner) error {
	env := r.env
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	display := ui.LogOptions{NoPrefix: a.opt.noPrefix, NoColour: a.opt.noColour, Timestamps: a.opt.timestamps}
	for _, c := range a.spec.Containers {
		if slices.Contains(a.prints, c.Service) {
			display.Names = append(display.Names, shortName(a.spec.Name, c))
		}
	}
	env.ui.Say("Attaching to %s", strings.Join(display.Names, ", "))
	observed, err := r.e.Observe(ctx, a.spec.Name, nil)
	if err != nil {
		return err
	}
	// Only the first end matters, and nobody may wait for us to hear of it.
	first := make(chan pod.ContainerStatus, 1)
	f := &follower{
		reader: reader{r.e.Project(a.spec.Name), a.spec.Name, logs.ReadOptions{Follow: true, Tail: -1, Since: a.since}, env.ui.Log(display)},
		tells:  true, now: env.now,
		prints:  func(c pod.ContainerStatus) bool { return !c.OneOff && slices.Contains(a.prints, c.Service) },
		watches: func(c pod.ContainerStatus) bool { return !c.OneOff && slices.Contains(a.watched, c.Service) },
		exits: func(c pod.ContainerStatus) {
			if a.opt.abortOnExit || a.opt.abortOnFailure && c.Run.ExitCode != 0 {
				select {
				case first <- c:
				default:
				}
			}
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- f.run(ctx, observed.Containers) }()
	select {
	case err := <-ended:
		select {
		case c := <-first:
			return a.exitCode(ctx, r, c)
		default:
			return err
		}
	case c := <-first:
		env.ui.Say("Aborting on container exit...")
		if err := a.stopAll(ctx, r, ended); err != nil {
			return err
		}
		return a.exitCode(ctx, r, c)
	case s := <-env.streams.Signals:
		env.ui.Say("Gracefully stopping... (press Ctrl+C again to force)")
		if err := a.stopAll(ctx, r, ended); err != nil {
			return err
		}
		return cause(s)
	}
}

func cause(s os.Signal) error {
	number, _ := s.(syscall.Signal)
	return interrupted{number}
}

// stopAll stops the services of an up, dependents first; a signal meanwhile kills them. It returns when all that
// they wrote has been shown.
func (a attachment) stopAll(ctx context.Context, r runner, ended <-chan error) error {
	env := r.env
	stopped := make(chan error, 1)
	go func() {
		_, err := r.carryOut(ctx, change{name: a.spec.Name, beside: true, plan: func(observed pod.Status) (*planner.Plan, error) {
			return planner.Stop(observed, a.watched, a.opt.grace), nil
		}})
		stopped <- err
	}()
	killed := make(chan error, 1)
	for {
		select {
		case <-env.streams.Signals:
			if env.streams.Default != nil {
				env.streams.Default() // a third one ends us
			}
			env.ui.Say("Killing...")
			go func() { killed <- a.killAll(ctx, r) }()
		case err := <-killed:
			if err != nil {
				return err
			}
		case err := <-stopped:
			if err != nil {
				return err
			}
			stopped = nil
		case err := <-ended:
			if stopped != nil {
				err = errors.Join(err, <-stopped)
			}
			return err
		}
	}
}

// killAll kills the services without the project's lock, which the stop that takes too long holds.
func (a attachment) killAll(ctx context.Context, r runner) error {
	observed, err := r.e.Observe(ctx, a.spec.Name, nil)
	if err != nil {
		return err
	}
	return r.execute(ctx, r.e.Project(a.spec.Name), planner.Kill(observed, a.watched, "SIGKILL"), true)
}

// exitCode is the end of an up that was to end with a container: the one of --exit-code-from, else the first.
func (a attachment) exitCode(ctx context.Context, r runner, c pod.ContainerStatus) error {
	if s := a.opt.exitCodeFrom; s != "" && c.Service != s {
		observed, err := r.e.Observe(ctx, a.spec.Name, nil)
		if err != nil {
			return err
		}
		if c, err = find(observed, s, 0); err != nil {
			return err
		}
	}
	switch code := c.Run.ExitCode; code {
	case 0:
		return nil
	case pod.UnknownExit:
		return fmt.Errorf("nobody saw the exit code of container %q", c.Name)
	default:
		return exit{code: code}
	}
}
