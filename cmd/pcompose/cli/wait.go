package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

type waitOptions struct {
	services    []string
	downProject bool
}

func newWait(env *Env, run action[waitOptions]) *cobra.Command {
	opt := &waitOptions{}
	cmd := command(env, "wait [OPTIONS] SERVICE [SERVICE...]", "Block until containers of all (or specified) services stop", &opt.services, bind(env, opt, run))
	cmd.Flags().BoolVar(&opt.downProject, "down-project", false, "Take the project down when the first container stops")
	return cmd
}

// ended is the end of one container.
type ended struct {
	id   string
	code int
	err  error
}

func runWait(ctx context.Context, env *Env, opt *waitOptions) error {
	if len(opt.services) == 0 {
		return errors.New("wait needs a service: see `pcompose wait --help`")
	}
	e, t, observed, err := env.look(ctx, opt.services)
	if err != nil {
		return err
	}
	defer e.Close()
	containers := chosen(observed, opt.services)
	if len(containers) == 0 {
		return fmt.Errorf("no containers for project %q", t.name)
	}
	if env.global.dryRun && !opt.downProject {
		var intents []intent
		for _, c := range containers {
			intents = append(intents, intent{"container/" + c.Name, "wait until it ends", "asked to wait"})
		}
		return env.would(intents)
	}
	code := 0
	if !env.global.dryRun {
		code, err = opt.wait(ctx, env, e.Project(t.name), containers)
		if err != nil {
			return err
		}
	}
	if opt.downProject {
		_, err = runner{env, e}.carryOut(ctx, change{name: t.name, plan: func(observed pod.Status) (*planner.Plan, error) {
			return planner.Down(t.spec, observed, planner.DownOptions{RemoveOrphans: true}), nil
		}})
	}
	switch {
	case err != nil || code == 0:
		return err
	case code == pod.UnknownExit:
		return errors.New("nobody saw the exit code")
	}
	return exit{code: code}
}

// wait waits for the end of containers, all or with --down-project the first, tells of each, and returns the last code.
func (o *waitOptions) wait(ctx context.Context, env *Env, project *engine.Project, containers []pod.ContainerStatus) (code int, err error) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := make(chan ended, len(containers))
	for _, c := range containers {
		go func() {
			code, err := project.Wait(waiting, c.Name)
			ends <- ended{c.ID, code, err}
		}()
	}
	for range containers {
		end := <-ends
		if end.err != nil {
			return 0, end.err
		}
		env.ui.Line("container %q exited with status code %d", end.id, end.code)
		code = end.code
		if o.downProject {
			break
		}
	}
	return code, nil
}
