package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/pod/events"
)

type eventsOptions struct {
	services     []string
	json         bool
	since, until time.Time
}

func newEvents(env *Env, run action[eventsOptions]) *cobra.Command {
	opt := &eventsOptions{}
	cmd := command(env, "events [OPTIONS] [SERVICE...]", "Receive real time events from containers", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVar(&opt.json, "json", false, "Print each event as a JSON object")
	f.Var(&moment{&opt.since, env.now}, "since", "Show events since a time, or for so long (default: from now on)")
	f.Var(&moment{&opt.until, env.now}, "until", "Show events until a time, and end then")
	return cmd
}

func runEvents(ctx context.Context, env *Env, opt *eventsOptions) error {
	e, t, _, err := env.look(ctx, opt.services)
	if err != nil {
		return err
	}
	defer e.Close()
	return engine.Events(ctx, e.Project(t.name), events.Options{Since: opt.since, Until: opt.until, Follow: true}, func(event events.Event) error {
		if len(opt.services) > 0 && !slices.Contains(opt.services, event.Service) {
			return nil
		}
		if !opt.json {
			env.ui.Line("%s", event.Text())
			return nil
		}
		b, err := event.JSON()
		if err != nil {
			return err
		}
		return env.ui.Text(append(b, '\n'))
	})
}
