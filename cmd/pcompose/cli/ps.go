package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/pod"
)

type psOptions struct {
	args                          []string
	all, quiet, services, noTrunc bool
	orphans                       bool
	format                        string
	status, filters               []string
}

func newPs(env *Env, run action[psOptions]) *cobra.Command {
	opt := &psOptions{}
	cmd := command(env, "ps [OPTIONS] [SERVICE...]", "List containers", &opt.args, bind(env, opt, run))
	f := cmd.Flags()
	f.StringVar(&opt.format, "format", "table", "Format: table, json (one object a line), or a Go template")
	f.StringArrayVar(&opt.filters, "filter", nil, "Filter by status=STATUS")
	f.StringArrayVar(&opt.status, "status", nil, "Show containers of this status: created, running, paused, restarting, exited")
	f.BoolVarP(&opt.quiet, "quiet", "q", false, "Show IDs only")
	f.BoolVar(&opt.services, "services", false, "Show services only")
	f.BoolVar(&opt.orphans, "orphans", true, "Include containers of services the file does not have")
	f.BoolVarP(&opt.all, "all", "a", false, "Show stopped containers too")
	f.BoolVar(&opt.noTrunc, "no-trunc", false, "Do not shorten IDs and commands")
	return cmd
}

// wanted are the states to show; nil is those that live, unless all are.
func (o *psOptions) wanted() ([]string, error) {
	states := slices.Clone(o.status)
	for _, f := range o.filters {
		key, state, ok := strings.Cut(f, "=")
		if !ok {
			return nil, errors.New("arguments to --filter should be in form KEY=VAL")
		}
		if key != "status" {
			return nil, fmt.Errorf("unknown filter %s: there is status=STATUS", key)
		}
		states = append(states, state)
	}
	for _, s := range states {
		if err := oneOf("--status", s, "created", "running", "paused", "restarting", "exited", "removing", "dead"); err != nil {
			return nil, err
		}
	}
	return states, nil
}

func (o *psOptions) shows(c pod.ContainerStatus, states []string) bool {
	state := c.Run.State
	if state == pod.StatePartial {
		state = pod.StateCreated
	}
	switch {
	case c.Hook != "": // no part of its service, as in docker compose
		return false
	case len(o.args) > 0 && !slices.Contains(o.args, c.Service):
		return false
	case len(states) > 0:
		return slices.Contains(states, string(state))
	}
	return o.all || state.Alive()
}

func runPs(ctx context.Context, env *Env, opt *psOptions) error {
	states, err := opt.wanted()
	if err != nil {
		return err
	}
	e, t, observed, err := env.look(ctx, opt.args)
	if err != nil {
		return err
	}
	defer e.Close()
	if !opt.orphans && t.spec == nil {
		if t, err = env.target(ctx); err != nil {
			return err
		}
	}
	var list []ui.Container
	var services []string
	for _, c := range observed.Containers {
		if c.OneOff && !opt.all || !opt.shows(c, states) || !opt.orphans && t.spec != nil && !has(*t.spec, c.Service) {
			continue
		}
		list = append(list, ui.Describe(observed, c, env.now(), opt.noTrunc))
		services = append(services, c.Service)
		if opt.quiet && !opt.services {
			env.ui.Line("%s", c.ID)
		}
	}
	switch {
	case opt.services:
		slices.Sort(services)
		for _, s := range slices.Compact(services) {
			env.ui.Line("%s", s)
		}
		return nil
	case opt.quiet:
		return nil
	}
	return env.ui.Containers(opt.format, list)
}
