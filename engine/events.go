package engine

import (
	"context"
	"path/filepath"
	"time"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod/events"
)

// eventsFile is where a project's events are. It outlives the pod, so that a reader sees the end of one and the start of
// the next; no project's name begins with a dot.
func eventsFile(e *Engine, project string) string {
	return filepath.Join(e.cfg.RunRoot, ".events", project)
}

// Events calls f with what happened to a project's containers; see events.Read.
func Events(ctx context.Context, p *Project, o events.Options, f func(events.Event) error) error {
	return events.Read(ctx, eventsFile(p.engine, p.name), o, f)
}

// note tells that something was done to a container. Nothing depends on it: where it cannot be written, on a full
// tmpfs say, the thing was done all the same.
func note(p *Project, r state.Record, action string) {
	_ = events.Write(eventsFile(p.engine, p.name), events.Event{
		Time: time.Now(), Action: action, ID: r.ID, Name: r.Container.Name, Service: r.Container.Service,
		Image: r.Container.Image, Attributes: r.Container.Labels,
	})
}
