package cli

import (
	"context"
	"errors"
	"io/fs"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

// logSource is where logs come from: an engine's project.
type logSource interface {
	Logs(ctx context.Context, container string, opt logs.ReadOptions, f func(logs.Line) error) error
	Watch(ctx context.Context) (<-chan pod.ContainerStatus, error)
}

// logDisplay are the options to show the logs of containers.
func logDisplay(project string, containers []pod.ContainerStatus, noPrefix, noColour, timestamps bool) ui.LogOptions {
	opt := ui.LogOptions{NoPrefix: noPrefix, NoColour: noColour, Timestamps: timestamps}
	for _, c := range containers {
		opt.Names = append(opt.Names, shortName(project, c.Container))
	}
	return opt
}

// entry is a line of a log to be shown.
func entry(name string, l logs.Line) ui.Entry {
	if l.Stream == logs.Hook {
		name += " ->" // as docker compose tells hooks apart
	}
	return ui.Entry{Name: name, At: l.At, Text: string(l.Text), Stderr: l.Stream == logs.Stderr}
}

// readLog reads one log; that there is none is no error: the container never started.
func readLog(ctx context.Context, source logSource, container string, read logs.ReadOptions, f func(logs.Line) error) error {
	err := source.Logs(ctx, container, read, f)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// printed is how many lines are shown at once: enough that writing costs little, few enough to keep memory small.
const printed = 512

// reader shows logs of a project's containers.
type reader struct {
	source  logSource
	project string
	read    logs.ReadOptions
	show    *ui.Log
}

// print shows what there is of the containers' logs as one, line by line in the order of their times. It reads
// all of them at once and never holds more of each than fits its channel.
func (r reader) print(ctx context.Context, containers []pod.ContainerStatus) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	streams := make([]chan ui.Entry, len(containers))
	failed := make(chan error, len(containers))
	for i, c := range containers {
		streams[i] = make(chan ui.Entry, printed)
		go func() {
			defer close(streams[i])
			failed <- readLog(ctx, r.source, c.Name, r.read, func(l logs.Line) error {
				select {
				case streams[i] <- entry(shortName(r.project, c.Container), l):
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			})
		}()
	}
	merge(streams, r.show)
	var errs []error
	for range containers {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

// merge shows the entries of streams that are each in order in the order of all.
func merge(streams []chan ui.Entry, show *ui.Log) {
	heads := make([]ui.Entry, len(streams))
	open := make([]bool, len(streams))
	for i, s := range streams {
		heads[i], open[i] = <-s
	}
	var batch []ui.Entry
	for {
		first := -1
		for i := range heads {
			if open[i] && (first < 0 || heads[i].At.Before(heads[first].At)) {
				first = i
			}
		}
		if first < 0 {
			show.Print(batch)
			return
		}
		if batch = append(batch, heads[first]); len(batch) == printed {
			show.Print(batch)
			batch = batch[:0]
		}
		heads[first], open[first] = <-streams[first]
	}
}
