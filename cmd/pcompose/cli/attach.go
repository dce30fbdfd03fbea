package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
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
	// triggers are what files are watched for, with --watch or the key.
	triggers func() ([]pod.Trigger, error)
}

func newAttachment(env *Env, opt *upOptions, project *compose.Project, spec pod.Spec) (attachment, error) {
	a := attachment{opt: opt, spec: spec, since: opt.begun, triggers: func() ([]pod.Trigger, error) { return triggersOf(env, project, opt.services) }}
	for _, c := range spec.Containers {
		a.watched = append(a.watched, c.Service)
	}
	if len(opt.services) > 0 {
		a.watched = withDependencies(spec, opt.services)
		if opt.noDeps {
			a.watched = opt.services
		}
	}
	a.prints = opt.attach
	if len(opt.attach) == 0 {
		a.prints = a.watched
		if len(opt.services) > 0 && !opt.attachDependencies {
			a.prints = opt.services
		}
		a.prints = slices.DeleteFunc(slices.Clone(a.prints), func(s string) bool {
			attach := project.Model.Services[s].Attach
			return attach != nil && !*attach
		})
	}
	a.prints = slices.DeleteFunc(slices.Clone(a.prints), func(s string) bool { return slices.Contains(opt.noAttach, s) })
	for _, s := range opt.attach {
		if !slices.Contains(a.watched, s) {
			return a, fmt.Errorf("cannot attach to service %q: it is not part of this up", s)
		}
	}
	return a, nil
}

// raising is a pod that is brought up while its output shows.
type raising struct {
	growing *growing
	follow  *follower
	// first is the first end that is to end all; only it matters, and nobody may wait for us to hear of it.
	first chan pod.ContainerStatus
	// risen brings the end of the start-up, ended that of the output.
	risen, ended chan error
}

// follow brings the pod up and shows the output of its services until they have ended or a signal comes: the first stops
// them gracefully, the second kills them, both while they start too. What it returns is up's exit code.
func (a attachment) follow(ctx context.Context, r runner) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rising, interrupt := context.WithCancelCause(ctx)
	defer interrupt(nil)
	w := a.display(ctx, r)
	go func() {
		err := w.follow.run(ctx, nil)
		close(w.growing.left)
		w.ended <- err
	}()
	go func() { w.risen <- a.rise(rising, r, w) }()
	// What ends an up early counts once it is up: a start that fails says more.
	var first <-chan pod.ContainerStatus
	// Keys are taken once it is up: before, a question may have to be answered.
	keys := menu{close: func() {}}
	defer func() { keys.close() }()
	files := &upWatch{attachment: a, runner: r, raising: w}
	defer files.stop()
	for {
		select {
		case err := <-w.risen:
			if err != nil {
				return errors.Join(err, a.leave(r, w))
			}
			w.risen, first, keys = nil, w.first, a.offerMenu(r)
			if a.opt.watch {
				files.toggle(ctx)
			}
		case key := <-keys.keys:
			if a.press(ctx, r, files, key) {
				return a.leave(r, w)
			}
		case err := <-w.ended:
			select {
			case c := <-w.first:
				return a.exitCode(ctx, r, c)
			default:
			}
			if err == nil && w.risen != nil {
				err = <-w.risen
			}
			return err
		case c := <-first:
			files.stop()
			r.env.ui.Say("Aborting on container exit...")
			if err := a.stopAll(ctx, r, w); err != nil {
				return err
			}
			return a.exitCode(ctx, r, c)
		case s := <-r.env.streams.Signals:
			keys.close() // a later one may end us at once
			r.env.ui.Say("Gracefully stopping... (press Ctrl+C again to force)")
			interrupt(cause(s))
			files.stop()
			if err := a.stopAll(ctx, r, w); err != nil {
				return errors.Join(err, cause(s))
			}
			return cause(s)
		}
	}
}

// display is what shows the output of the services from their start on.
func (a attachment) display(ctx context.Context, r runner) raising {
	options := ui.LogOptions{NoPrefix: a.opt.noPrefix, NoColour: a.opt.noColour, Timestamps: a.opt.timestamps, Names: a.names()}
	w := raising{
		growing: newGrowing(fresh{func() logSource { return r.e.Project(a.spec.Name) }}), first: make(chan pod.ContainerStatus, 1),
		risen: make(chan error, 1), ended: make(chan error, 1),
	}
	w.follow = &follower{
		reader: reader{w.growing, a.spec.Name, logs.ReadOptions{Follow: true, Tail: -1, Since: a.since}, r.env.ui.Log(options)},
		tells:  true, now: r.env.now, grown: make(chan []pod.ContainerStatus), acting: make(chan acting),
		prints: func(c pod.ContainerStatus) bool {
			return (!c.OneOff || c.Hook != "") && slices.Contains(a.prints, c.Service)
		},
		watches: func(c pod.ContainerStatus) bool {
			return (!c.OneOff || c.Hook != "") && slices.Contains(a.watched, c.Service)
		},
		exits: func(c pod.ContainerStatus) {
			if a.orderly(c) {
				return
			}
			if c.Hook != "" {
				return // that it ends is what it is for
			}
			r.explain(ctx, a.spec.Name, c)
			if c.Run.Stopped && a.opt.watch {
				return // a change of its files did that
			}
			if a.opt.abortOnExit || a.opt.abortOnFailure && c.Run.ExitCode != 0 {
				select {
				case w.first <- c:
				default:
				}
			}
		},
	}
	return w
}

// orderly says whether a container's end is part of the start-up: others wait for it to complete, and it did, and nobody
// asked for its exit code.
func (a attachment) orderly(c pod.ContainerStatus) bool {
	return c.Run.ExitCode == 0 && c.Service != a.opt.exitCodeFrom && slices.ContainsFunc(a.spec.Containers, func(other pod.Container) bool {
		return slices.ContainsFunc(other.After, func(d pod.Dependency) bool { return d.On == c.Service && d.Until == pod.UntilCompleted })
	})
}

// names are the containers whose output shows.
func (a attachment) names() []string {
	var names []string
	for _, c := range a.spec.Containers {
		if slices.Contains(a.prints, c.Service) {
			names = append(names, shortName(a.spec.Name, c))
		}
	}
	return names
}

// rise brings the pod up, and lets the display know of its containers as they start.
func (a attachment) rise(ctx context.Context, r runner, w raising) error {
	bounded, cancel := a.opt.bounded(ctx)
	defer cancel()
	attach := sync.OnceFunc(func() { r.env.ui.Say("Attaching to %s", strings.Join(a.names(), ", ")) })
	c := r.rise(a.spec, &a.opt.selection, a.opt.quietPull)
	c.show, c.around = r.env.ui.Beside, telling(attach, w.growing.look)
	plan, err := r.carryOut(bounded, c)
	if err == nil {
		if plan.Empty() && r.env.ui.Mode == ui.TTY {
			r.sayRunning(ctx, a.spec, a.opt.services)
		}
		attach()
	}
	w.growing.settle()
	observed, observeErr := r.e.Observe(context.WithoutCancel(ctx), a.spec.Name, nil)
	select {
	case w.follow.grown <- observed.Containers:
	case <-w.growing.left:
	}
	return errors.Join(err, observeErr)
}

// leave ends the display of an up that failed once all that its services wrote is shown: it often says what went wrong.
// The services stay as they are, for the next up.
func (a attachment) leave(r runner, w raising) error {
	w.growing.leave()
	select {
	case err := <-w.ended:
		return err
	case s := <-r.env.streams.Signals:
		return cause(s)
	}
}

func cause(s os.Signal) error {
	number, _ := s.(syscall.Signal)
	return interrupted{number}
}

// stopAll stops the services of an up once it has ended, dependents first; a signal meanwhile kills them. It returns
// when all that they wrote has been shown.
func (a attachment) stopAll(ctx context.Context, r runner, w raising) error {
	stopped, killed := make(chan error, 1), make(chan error, 1)
	go func() {
		var up error
		if w.risen != nil {
			up = <-w.risen
		}
		var signal interrupted
		if errors.As(up, &signal) {
			up = nil // that is why we stop
		}
		stopped <- errors.Join(up, a.stop(ctx, r))
	}()
	for {
		select {
		case <-r.env.streams.Signals:
			if r.env.streams.Default != nil {
				r.env.streams.Default() // a third one ends us
			}
			r.env.ui.Say("Killing...")
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
		case err := <-w.ended:
			if stopped != nil {
				err = errors.Join(err, <-stopped)
			}
			return err
		}
	}
}

// stop stops the services, where any lives.
func (a attachment) stop(ctx context.Context, r runner) error {
	observed, err := r.e.Observe(ctx, a.spec.Name, nil)
	if err != nil || !slices.ContainsFunc(observed.Containers, func(c pod.ContainerStatus) bool {
		return c.Run.State.Alive() && slices.Contains(a.watched, c.Service)
	}) {
		return err
	}
	_, err = r.carryOut(ctx, change{name: a.spec.Name, show: r.env.ui.Steps, plan: func(observed pod.Status) (*planner.Plan, error) {
		return planner.Stop(observed, a.watched, a.opt.grace), nil
	}})
	return err
}

// killAll kills the services without the project's lock, which the stop that takes too long holds.
func (a attachment) killAll(ctx context.Context, r runner) error {
	observed, err := r.e.Observe(ctx, a.spec.Name, nil)
	if err != nil {
		return err
	}
	return r.execute(ctx, r.e.Project(a.spec.Name), planner.Kill(observed, a.watched, "SIGKILL"), r.env.ui.Steps)
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
