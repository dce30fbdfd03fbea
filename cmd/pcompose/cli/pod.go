package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/pod"
)

func newPod(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "pod", Short: "Look at pods", Args: cobra.ArbitraryArgs, RunE: needsCommand}
	cmd.AddCommand(newPodLs(env, runPodLs), newPodInspect(env, runPodInspect))
	return cmd
}

// needsCommand is what a command that only holds others does.
func needsCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args)
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return fmt.Errorf("%s needs a command: %s", cmd.CommandPath(), strings.Join(names, ", "))
}

type podLsOptions struct {
	quiet  bool
	format string
}

func newPodLs(env *Env, run action[podLsOptions]) *cobra.Command {
	opt := &podLsOptions{}
	cmd := command(env, "ls", "List the pods of the machine", nil, bind(env, opt, run))
	cmd.Flags().BoolVarP(&opt.quiet, "quiet", "q", false, "Show names only")
	cmd.Flags().StringVar(&opt.format, "format", "table", "Format: table, json")
	return cmd
}

func runPodLs(ctx context.Context, env *Env, opt *podLsOptions) error {
	if err := oneOf("--format", opt.format, "table", "json"); err != nil {
		return err
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	pods, err := e.Projects(ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	var names []string
	for _, p := range pods {
		state, cells := "down", 0
		switch {
		case p.Watcher != nil:
			state = "up, watched"
		case p.Up:
			state = "up"
		}
		if p.Spec != nil {
			cells = len(p.Spec.Cells)
		}
		names = append(names, p.Name)
		rows = append(rows, []string{p.Name, state, strconv.Itoa(cells), summary(p), ui.PodPorts(p)})
	}
	switch {
	case opt.quiet:
		return env.ui.Text(lines(names))
	case opt.format == "json":
		if pods == nil {
			pods = []pod.Status{}
		}
		return env.ui.JSON(pods)
	}
	return env.ui.Table(ui.Narrow, []string{"NAME", "STATE", "CELLS", "CONTAINERS", "PORTS"}, rows)
}

type podInspectOptions struct {
	args   []string
	format string
}

func newPodInspect(env *Env, run action[podInspectOptions]) *cobra.Command {
	opt := &podInspectOptions{}
	cmd := command(env, "inspect [PROJECT...]", "Show all there is to know of pods (default: the pod of this project)", &opt.args, bind(env, opt, run))
	cmd.Flags().StringVarP(&opt.format, "format", "f", "json", "Format: json, or a Go template")
	return cmd
}

func runPodInspect(ctx context.Context, env *Env, opt *podInspectOptions) error {
	names := opt.args
	if len(names) == 0 {
		t, err := env.target(ctx)
		if err != nil {
			return err
		}
		names = []string{t.name}
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	var pods []pod.Status
	for _, name := range names {
		p, err := e.Observe(ctx, name, nil)
		if err != nil {
			return err
		}
		if p.Spec == nil {
			return errors.New("no such pod: " + strconv.Quote(name))
		}
		pods = append(pods, p)
	}
	return inspect(env.ui, opt.format, pods)
}

// inspect prints things as an array of JSON, or each through a template.
func inspect[T any](u *ui.UI, format string, things []T) error {
	if format == "" || format == "json" {
		if things == nil {
			things = []T{}
		}
		return u.JSON(things)
	}
	return ui.Template(u, format, nil, things)
}
