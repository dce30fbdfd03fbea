package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"

	"github.com/pcompose/pcompose/pod"
)

// Metadata is what a program says of itself. The zero value is that of one that says nothing: it takes every option, and
// cannot stop.
type Metadata struct {
	Description string   `json:"description"`
	Up          Command  `json:"up"`
	Down        Command  `json:"down"`
	Stop        *Command `json:"stop"`
}

// Command is what a program says of one of its commands.
type Command struct {
	Parameters []Parameter `json:"parameters"`
}

// Parameter is an option that a command takes.
type Parameter struct {
	Name     string `json:"name"`
	Required bool   `json:"required"`
}

// Program is a program that provides services, and how it is called.
type Program struct {
	Path, Dir string
	Env       []string
}

// Metadata asks the program about itself. One that does not know the question says nothing.
func (p Program) Metadata(ctx context.Context) (Metadata, error) {
	cmd := p.command(ctx, "compose", "metadata")
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return Metadata{}, context.Cause(ctx)
	}
	var m Metadata
	if err != nil || json.Unmarshal(out, &m) != nil {
		return Metadata{}, nil // it needs not know the command
	}
	return m, nil
}

// command is a call of the program that ends with ctx: asked to first, and killed after a time.
func (p Program) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.Path, args...)
	cmd.Dir, cmd.Env = p.Dir, p.Env
	cmd.Cancel = func() error { return terminate(cmd.Process) }
	cmd.WaitDelay = patience
	return cmd
}

// empty says whether the program says nothing of its options, so that all are passed.
func (m Metadata) empty() bool {
	return m.Description == "" && m.Up.Parameters == nil && m.Down.Parameters == nil
}

// of is what the program says of a command.
func (m Metadata) of(command string) Command {
	switch {
	case command == "up":
		return m.Up
	case command == "down":
		return m.Down
	case m.Stop != nil:
		return *m.Stop
	}
	return Command{}
}

// Missing are the options that a command requires and a provider has not, in the program's order.
func (m Metadata) Missing(command string, p pod.Provider) []string {
	var names []string
	for _, parameter := range m.of(command).Parameters {
		if _, has := p.Option(parameter.Name); parameter.Required && !has {
			names = append(names, parameter.Name)
		}
	}
	return names
}

// Unknown are the options of a provider that no command takes, and those that are taken, sorted.
func (m Metadata) Unknown(p pod.Provider) (unknown, known []string) {
	if m.empty() {
		return nil, nil
	}
	for _, command := range []string{"up", "down", "stop"} {
		for _, parameter := range m.of(command).Parameters {
			known = append(known, parameter.Name)
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for _, o := range p.Options {
		if !slices.Contains(known, o.Name) {
			unknown = append(unknown, o.Name)
		}
	}
	return unknown, known
}

// arguments are those of a command of a provider, the options sorted: those that the command takes.
func (m Metadata) arguments(project, command string, p pod.Provider) []string {
	args := []string{"compose", "--project-name=" + project, command}
	takes := m.of(command).Parameters
	for _, o := range p.Options {
		if !m.empty() && !slices.ContainsFunc(takes, func(t Parameter) bool { return t.Name == o.Name }) {
			continue
		}
		for _, value := range o.Values {
			args = append(args, fmt.Sprintf("--%s=%s", o.Name, value))
		}
	}
	return append(args, p.Service)
}
