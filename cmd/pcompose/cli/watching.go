package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/watch"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/planner/trigger"
	"github.com/pcompose/pcompose/pod"
)

// watching does what changed files ask for, in the containers of a pod.
type watching struct {
	runner
	spec     pod.Spec
	triggers []pod.Trigger
	// quiet shows nothing of builds, prune removes the images that they replace.
	quiet, prune bool
	// around wraps what restarts containers or makes them anew; nil is nothing.
	around func(ctx context.Context, act func())
	// patience is how long another who watches the project is waited for: one that is about to end.
	patience time.Duration
	// say tells the user a line; nil is as messages are told.
	say func(text string)
	// idle is told up to when all changes have been dealt with; nil for nobody.
	idle func(time.Time)

	mu      sync.Mutex
	files   *watch.Watch
	release func()
}

// openWatch begins to see changes. One process at a time watches a project.
func (r runner) openWatch(ctx context.Context, w *watching) (*watching, error) {
	env, display := *r.env, *r.env.ui
	env.ui = &display // a rebuild changes how progress shows, and files are synced meanwhile
	if display.Mode == ui.TTY {
		display.Mode = ui.Plain // output shows beside it
	}
	env.streams.In = nil // nobody is asked
	w.runner = runner{&env, r.e}
	if w.say == nil {
		w.say = func(text string) { r.env.ui.Say("%s", text) }
	}
	var err error
	if w.release, err = engine.LockWatch(ctx, r.e.Project(w.spec.Name), w.patience); err != nil {
		return nil, err
	}
	if w.files, err = watch.Open(w.triggers, w, w.idle); err != nil {
		w.release()
		return nil, err
	}
	return w, nil
}

func (w *watching) close() {
	w.files.Close()
	w.release()
}

// run does what changes ask for until ctx ends, those since a time too.
func (w *watching) run(ctx context.Context, since time.Time) error {
	w.files.Initial(ctx)
	w.tell("Watch enabled")
	err := w.files.Run(ctx, since)
	w.tell("Watch disabled")
	return err
}

func (w *watching) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.say(fmt.Sprintf(format, args...))
}

// fail tells an error: it ends nothing.
func (w *watching) fail(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		for line := range strings.Lines(err.Error()) {
			w.tell("%s", strings.TrimSuffix(line, "\n"))
		}
	}
}

// containers are those of a service, as they are now.
func (w *watching) containers(ctx context.Context, service string) ([]pod.ContainerStatus, error) {
	observed, err := w.e.Observe(ctx, w.spec.Name, nil)
	return slices.DeleteFunc(observed.Containers, func(c pod.ContainerStatus) bool {
		return c.Service != service || c.OneOff || c.Run.State == pod.StatePartial
	}), err
}

// Sync brings files into the containers of a service.
func (w *watching) Sync(ctx context.Context, s trigger.Sync) {
	containers, err := w.containers(ctx, s.Service)
	if err != nil {
		w.fail(ctx, err)
		return
	}
	if len(containers) == 0 {
		return // the next container is made of what there is then, or gets it by its initial sync
	}
	w.tell("Syncing service %q after %d changes were detected", s.Service, len(s.Files))
	files := make([]engine.Synced, len(s.Files))
	for i, f := range s.Files {
		files[i] = engine.Synced{Host: f.Path, Inside: f.Target}
	}
	// What is remembered of a project is read once: others may have changed it since.
	project := engine.FilesOf(w.e.Project(w.spec.Name))
	for _, c := range containers {
		err := project.Sync(ctx, c.Name, files)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is being replaced
		}
		w.fail(ctx, err)
	}
}

// Act builds services anew, restarts others and runs commands.
func (w *watching) Act(ctx context.Context, a trigger.Actions) {
	anew := func() {
		if len(a.Rebuild) > 0 {
			w.fail(ctx, w.rebuild(ctx, a.Rebuild))
		}
		if len(a.Restart) > 0 && ctx.Err() == nil {
			w.fail(ctx, w.restart(ctx, a.Restart))
		}
	}
	switch {
	case len(a.Rebuild)+len(a.Restart) == 0:
	case w.around != nil:
		w.around(ctx, anew)
	default:
		anew()
	}
	var commands sync.WaitGroup
	for _, x := range a.Exec {
		containers, err := w.containers(ctx, x.Service)
		w.fail(ctx, err)
		for _, c := range containers {
			commands.Go(func() { w.fail(ctx, w.exec(ctx, c, x)) })
		}
	}
	commands.Wait()
}

// rebuild builds the images of services, and makes their containers anew where the image is another one. Nothing else is
// touched.
func (w *watching) rebuild(ctx context.Context, services []string) error {
	w.tell("Rebuilding service(s) %q after changes were detected...", services)
	before, err := w.images(ctx, services)
	if err != nil {
		return err
	}
	s := selection{services: services, noDeps: true, build: true, pull: "policy", ignoreOrphans: true, quietBuild: w.quiet}
	c := w.rise(w.spec, &s, true)
	c.show = w.hidden
	if _, err := w.carryOut(ctx, c); err != nil {
		return fmt.Errorf("cannot rebuild %s: %w", strings.Join(services, ", "), err)
	}
	w.tell("service(s) %q successfully built", services)
	if !w.prune {
		return nil
	}
	store, err := w.e.Images()
	if err != nil {
		return err
	}
	return image.PruneOf(store, before)
}

// images are the IDs of the images that the containers of services were made from.
func (w *watching) images(ctx context.Context, services []string) ([]string, error) {
	var ids []string
	for _, service := range services {
		containers, err := w.containers(ctx, service)
		if err != nil {
			return nil, err
		}
		for _, c := range containers {
			ids = append(ids, c.ImageID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (w *watching) hidden(*planner.Plan) ui.Progress { return ui.Hidden(w.env.ui) }

func (w *watching) restart(ctx context.Context, services []string) error {
	_, err := w.carryOut(ctx, change{name: w.spec.Name, show: w.hidden, plan: func(observed pod.Status) (*planner.Plan, error) {
		return planner.Restart(observed, services, true, nil)
	}})
	if err != nil {
		return fmt.Errorf("cannot restart %s: %w", strings.Join(services, ", "), err)
	}
	w.tell("service(s) %q restarted", services)
	return nil
}

// exec runs the command of a trigger in a container. What it writes shows as it comes.
func (w *watching) exec(ctx context.Context, c pod.ContainerStatus, x trigger.Exec) error {
	if c.Run.State != pod.StateRunning {
		return fmt.Errorf("cannot run %q in container %q: it is %s", x.Hook.Command, c.Name, c.Run.State)
	}
	code, err := w.e.Project(w.spec.Name).Exec(ctx, c.Name, engine.ExecOptions{
		Argv: x.Hook.Command, Env: x.Hook.Env, User: x.Hook.User, WorkingDir: x.Hook.WorkingDir, Privileged: x.Hook.Privileged,
		Stdout: w.env.streams.Out, Stderr: w.env.streams.Err,
	})
	if err == nil && code != 0 {
		err = fmt.Errorf("it exited with code %d", code)
	}
	if err != nil {
		err = fmt.Errorf("cannot run %q in container %q: %w", x.Hook.Command, c.Name, err)
	}
	return err
}
