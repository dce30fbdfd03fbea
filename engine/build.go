package engine

import (
	"context"

	"github.com/pcompose/pcompose/engine/build"
	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/runtime"
)

// buildImage builds an image, unless it is to be asked of its registry and that has it.
func buildImage(ctx context.Context, e *Engine, a planner.BuildImage, report func(execute.Progress)) error {
	if a.Check {
		builder, err := e.builder()
		if err != nil {
			return err
		}
		return builder.Check(ctx, a.Build)
	}
	if a.Pull {
		store, err := e.store()
		if err != nil {
			return err
		}
		_, err = store.Pull(ctx, a.Build.Image(), image.PullOptions{Platform: a.Build.Platform, Progress: func(b image.Progress) {
			report(execute.Progress{What: b.Blob, Done: b.Done, Total: b.Total})
		}})
		if err == nil || ctx.Err() != nil {
			return err
		}
		// Whatever the reason: what can be built needs no registry. docker compose does the same.
	}
	builder, err := e.builder()
	if err != nil {
		return err
	}
	_, err = builder.Build(ctx, a.Build, func(s pod.BuildStep) { report(execute.Progress{Build: &s}) })
	return err
}

// openBuilder is the builder of the engine's store.
func openBuilder(e *Engine) (*build.Builder, error) {
	store, err := e.store()
	if err != nil {
		return nil, err
	}
	system, err := store.System()
	if err != nil {
		return nil, err
	}
	program, kind, err := e.runtime()
	if err != nil {
		return nil, err
	}
	host, err := e.host()
	if err != nil {
		return nil, err
	}
	builder := build.New(build.Config{
		Store: store.Storage(), System: system, Dir: e.cfg.Dir, Root: e.cfg.Root, RunRoot: e.cfg.RunRoot,
		Runtime: runtime.Config{Path: program, Kind: kind}, MaxRlimits: host.MaxRlimits, LookupEnv: e.cfg.LookupEnv, Checkout: e.cfg.Checkout,
	})
	e.mu.Lock()
	e.ends = append(e.ends, builder.Close)
	e.mu.Unlock()
	return builder, nil
}

// SweepBuilds removes what builds left that were killed: their containers, mounts and files. It is idempotent.
func SweepBuilds(ctx context.Context, e *Engine) error {
	builder, err := e.builder()
	if err != nil {
		return err
	}
	return builder.Sweep(ctx)
}
