package engine

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/engine/provider"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// OptionProblem is what the program of a provider says against an option.
type OptionProblem struct {
	Service, Type, Option string
	// Missing are options the command requires; else the program does not take it, and Known are those it does.
	Missing bool
	Command planner.ProviderCommand
	Known   []string
}

// CheckProviders asks the programs of providers which options they take, and compares. It changes nothing.
func CheckProviders(ctx context.Context, e *Engine, providers []pod.Provider) ([]OptionProblem, error) {
	var problems []OptionProblem
	for _, p := range providers {
		program, err := program(e, p)
		if err != nil {
			return nil, err
		}
		m, err := program.Metadata(ctx)
		if err != nil {
			return nil, err
		}
		for _, command := range []planner.ProviderCommand{planner.ProviderUp, planner.ProviderDown, planner.ProviderStop} {
			for _, option := range m.Missing(string(command), p) {
				problems = append(problems, OptionProblem{Service: p.Service, Type: p.Type, Option: option, Missing: true, Command: command})
			}
		}
		unknown, known := m.Unknown(p)
		for _, option := range unknown {
			problems = append(problems, OptionProblem{Service: p.Service, Type: p.Type, Option: option, Known: known})
		}
	}
	return problems, nil
}

// program finds a provider's program.
func program(e *Engine, p pod.Provider) (provider.Program, error) {
	path, search := provider.Finder{Lookup: e.cfg.LookupEnv}.Find(p.Type, p.Dir)
	if path == "" {
		return provider.Program{}, &planner.Absent{Service: p.Service, Kind: planner.AbsentProgram, Name: p.Type, Search: search}
	}
	environ := e.cfg.Environ
	if environ == nil {
		environ = os.Environ
	}
	// With this variable of docker's a plugin thinks that docker has called it.
	env := slices.DeleteFunc(slices.Clone(environ()), func(v string) bool { return strings.HasPrefix(v, "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND=") })
	dir := p.Dir
	if _, err := os.Stat(dir); err != nil {
		dir = "/" // down of a project whose folder has gone
	}
	return provider.Program{Path: path, Dir: dir, Env: env}, nil
}

// runProvider runs a provider's program. That it is up is written down before it is, so that down finds it; what it gives is
// written down when it has ended well. Programs are idempotent by their protocol.
func runProvider(ctx context.Context, p *Project, a planner.RunProvider, report func(execute.Progress)) error {
	program, err := program(p.engine, a.Provider)
	if err != nil {
		return err
	}
	m, err := program.Metadata(ctx)
	if err != nil {
		return err
	}
	if missing := m.Missing(string(a.Command), a.Provider); len(missing) > 0 {
		return fmt.Errorf("cannot run provider %q of service %q: its command %s requires the option %q", a.Provider.Type, a.Provider.Service, a.Command, missing[0])
	}
	call := provider.Call{
		Program: program, Metadata: m, Project: p.name, Command: string(a.Command), Provider: a.Provider,
		Say: func(text string) { report(execute.Progress{Message: text}) },
	}
	service := a.Provider.Service
	remember := func(status pod.ProviderStatus) error {
		return p.edit(func(s *state.Project) {
			s.Providers = maps.Clone(s.Providers)
			if s.Providers == nil {
				s.Providers = map[string]pod.ProviderStatus{}
			}
			status.Provider, status.Stops = a.Provider, m.Stop != nil
			s.Providers[service] = status
		})
	}
	if a.Command == planner.ProviderUp {
		e, err := p.editor()
		if err != nil {
			return err
		}
		if err := remember(e.Project().Providers[service]); err != nil {
			return err
		}
	}
	result, err := call.Run(ctx)
	switch {
	case err != nil:
		return err
	case a.Command == planner.ProviderUp:
		return remember(pod.ProviderStatus{Variables: result.Variables, Raw: result.Raw})
	case a.Command == planner.ProviderDown:
		return p.edit(func(s *state.Project) {
			s.Providers = maps.Clone(s.Providers)
			delete(s.Providers, service)
		})
	}
	return nil
}

// providers fills in the providers that are up, and searches for the programs of those wanted.
func (o *observation) providers(remembered *state.Project, want *pod.Spec) {
	for _, service := range slices.Sorted(maps.Keys(remembered.Providers)) {
		o.status.Providers = append(o.status.Providers, remembered.Providers[service])
	}
	for _, p := range want.Providers {
		path, search := provider.Finder{Lookup: o.engine.cfg.LookupEnv}.Find(p.Type, p.Dir)
		if path != "" {
			continue
		}
		if o.status.NoProgram == nil {
			o.status.NoProgram = map[string]pod.Search{}
		}
		o.status.NoProgram[p.Type] = search
	}
}
