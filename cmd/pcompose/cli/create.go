package cli

import (
	"context"

	"github.com/spf13/cobra"
)

type createOptions struct {
	selection
	quietPull bool
}

func newCreate(env *Env, run action[createOptions]) *cobra.Command {
	opt := &createOptions{selection: selection{noStart: true}}
	cmd := command(env, "create [OPTIONS] [SERVICE...]", "Create containers for a service", &opt.services, bind(env, opt, run))
	opt.bind(cmd.Flags(), env)
	cmd.Flags().BoolVar(&opt.quietPull, "quiet-pull", false, "Pull without showing progress")
	return cmd
}

func runCreate(ctx context.Context, env *Env, opt *createOptions) error {
	if err := opt.check(); err != nil {
		return err
	}
	_, spec, err := opt.desire(ctx, env)
	if err != nil {
		return err
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = runner{env, e}.bringUp(ctx, spec, &opt.selection, opt.quietPull)
	return err
}
