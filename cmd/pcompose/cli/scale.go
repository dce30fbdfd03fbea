package cli

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

type scaleOptions struct {
	selection
	args []string
}

func newScale(env *Env, run action[scaleOptions]) *cobra.Command {
	opt := &scaleOptions{selection: selection{noRecreate: true, pull: "policy"}}
	cmd := command(env, "scale [OPTIONS] SERVICE=NUM...", "Scale services", &opt.args, bind(env, opt, run))
	cmd.Flags().BoolVar(&opt.noDeps, "no-deps", false, "Leave out what the services depend on")
	return cmd
}

func runScale(ctx context.Context, env *Env, opt *scaleOptions) error {
	if len(opt.args) == 0 {
		return errors.New("scale needs SERVICE=NUM: see `pcompose scale --help`")
	}
	for _, arg := range opt.args {
		if err := (&scales{&opt.scale}).Set(arg); err != nil {
			return err
		}
	}
	opt.services = slices.Sorted(maps.Keys(opt.scale))
	_, spec, err := opt.desire(ctx, env)
	if err != nil {
		return err
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = runner{env, e}.bringUp(ctx, spec, &opt.selection, false)
	return err
}
