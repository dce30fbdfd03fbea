package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/usage"
	"github.com/pcompose/pcompose/pod"
)

// sampling is the time between two samples, as docker has it.
const sampling = time.Second

type statsOptions struct {
	args                   []string
	all, noStream, noTrunc bool
	format                 string
}

func newStats(env *Env, run action[statsOptions]) *cobra.Command {
	opt := &statsOptions{}
	cmd := command(env, "stats [OPTIONS] [SERVICE]", "Display a live stream of container(s) resource usage statistics", &opt.args, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVarP(&opt.all, "all", "a", false, "Show all containers (default: those that run)")
	f.StringVar(&opt.format, "format", "table", "Format: table, json (one object a line), a Go template, or \"table TEMPLATE\"")
	f.BoolVar(&opt.noStream, "no-stream", false, "Print one result and end")
	f.BoolVar(&opt.noTrunc, "no-trunc", false, "Do not shorten IDs")
	cmd.Args = cobra.MaximumNArgs(1)
	return cmd
}

func runStats(ctx context.Context, env *Env, opt *statsOptions) error {
	e, t, observed, err := env.look(ctx, opt.args)
	if err != nil {
		return err
	}
	defer e.Close()
	before := map[string]usage.Sample{}
	for {
		now, containers := map[string]usage.Sample{}, opt.shown(observed)
		for _, c := range containers {
			if now[c.ID], err = engine.Usage(e.Project(t.name), c); err != nil {
				return err
			}
		}
		if len(before) > 0 || len(containers) == 0 { // one sample says nothing of processors
			if err := showStats(env, opt, statsOf(opt, containers, before, now)); err != nil || opt.noStream {
				return err
			}
		}
		before = now
		select {
		case <-time.After(sampling): // processor time is a difference over time
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if observed, err = e.Observe(ctx, t.name, nil); err != nil {
			return err
		}
	}
}

// shown are the containers that stats shows.
func (o *statsOptions) shown(observed pod.Status) []pod.ContainerStatus {
	var list []pod.ContainerStatus
	for _, c := range chosen(observed, o.args) {
		if o.all || c.Run.PID != 0 {
			list = append(list, c)
		}
	}
	return list
}

func statsOf(opt *statsOptions, containers []pod.ContainerStatus, before, now map[string]usage.Sample) []ui.Stats {
	var list []ui.Stats
	for _, c := range containers {
		s := now[c.ID]
		share := 0.0
		if b, ok := before[c.ID]; ok && !b.At.IsZero() {
			share = usage.CPUShare(b, s)
		}
		id := c.ID
		if !opt.noTrunc {
			id = shortID(id)
		}
		list = append(list, ui.NewStats(ui.Stats{Container: c.ID, ID: id, Name: c.Name}, ui.Used{
			CPU: share, Memory: s.Memory, Limit: s.Limit, PIDs: s.PIDs,
			Received: s.Received, Sent: s.Sent, Read: s.Read, Written: s.Written,
		}))
	}
	return list
}

// showStats prints a table, over the one before where somebody looks at it.
func showStats(env *Env, opt *statsOptions, list []ui.Stats) error {
	if !opt.noStream && env.ui.Out.Terminal {
		if err := env.ui.Text([]byte("\033[H\033[J")); err != nil {
			return fmt.Errorf("cannot redraw: %w", err)
		}
	}
	return ui.ShowStats(env.ui, opt.format, list)
}
