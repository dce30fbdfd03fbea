// Package watch sees files change and has done what changes ask for.
//
// A burst of changes is one: files go into the containers as soon as there is a short pause, all else waits for a longer one,
// and what comes while something is done is done next. Nobody asks what a change was: what is there when it is brought into
// a container is what counts, so that everything may be done twice.
package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/moby/patternmatcher/ignorefile"

	"github.com/pcompose/pcompose/planner/trigger"
	"github.com/pcompose/pcompose/pod"
)

// Doer does what changes ask for. An error is told to the user by whoever returns it: it ends nothing, the next change is
// another chance.
type Doer interface {
	// Sync brings files into the containers of a service. It may run beside Act.
	Sync(ctx context.Context, s trigger.Sync)
	// Act builds anew, restarts and runs commands, in this order.
	Act(ctx context.Context, a trigger.Actions)
}

// Watch is one watch of files.
type Watch struct {
	tree *tree
	set  *trigger.Set
	do   Doer
	// done is told up to when all changes have been dealt with; nil for nobody.
	done func(time.Time)
}

// Open watches what triggers are about; each path must exist. Changes from now on are seen, once Run runs.
func Open(triggers []pod.Trigger, do Doer, done func(time.Time)) (*Watch, error) {
	triggers = slices.Clone(triggers)
	builds := map[string][]string{}
	for i := range triggers {
		t := &triggers[i]
		st, err := os.Stat(t.Path)
		if err != nil {
			return nil, fmt.Errorf("cannot watch %q for service %q: %w", t.Path, t.Service, plain(err))
		}
		t.Dir = st.IsDir()
		if builds[t.Service], err = ignored(*t); err != nil {
			return nil, err
		}
	}
	set, err := trigger.New(triggers, builds)
	if err != nil {
		return nil, err
	}
	tree, err := openTree(set.Paths(), set.Skips)
	if err != nil {
		return nil, err
	}
	return &Watch{tree: tree, set: set, do: do, done: done}, nil
}

// ignored are the patterns that the build of a service ignores: those of its Dockerfile, else of its context.
func ignored(t pod.Trigger) ([]string, error) {
	if t.Context == "" {
		return nil, nil
	}
	names := []string{filepath.Join(t.Context, ".dockerignore")}
	if t.Dockerfile != "" {
		own := t.Dockerfile
		if !filepath.IsAbs(own) {
			own = filepath.Join(t.Context, own)
		}
		names = append([]string{own + ".dockerignore"}, names...)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if os.IsNotExist(err) {
			continue
		}
		var patterns []string
		if err == nil {
			patterns, err = ignorefile.ReadAll(f)
			f.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read %q: %w", name, plain(err))
		}
		return patterns, nil
	}
	return nil, nil
}

// Close ends the watch.
func (w *Watch) Close() { w.tree.close() }

// Initial brings in what triggers with initial_sync are about.
func (w *Watch) Initial(ctx context.Context) {
	for _, s := range w.set.Initial(w.tree.all()) {
		w.do.Sync(ctx, s)
	}
}

// Run does what changes ask for until ctx ends, those since a time too, where it is not zero. What is being done then is
// interrupted, and Run returns when it has ended.
func (w *Watch) Run(ctx context.Context, from time.Time) error {
	var missed []string
	if !from.IsZero() {
		missed = since(w.tree.all(), from)
	}
	changes := make(chan []string)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		defer close(changes)
		for {
			paths, err := w.tree.next(ctx)
			if err != nil {
				cancel(err)
				return
			}
			select {
			case changes <- paths:
			case <-ctx.Done():
				return
			}
		}
	}()
	r := newRound(w)
	defer r.stop()
	r.take(missed)
	return r.run(ctx, changes)
}
