package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/volume"
)

func newVolume(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "volume", Short: "Manage volumes", Args: cobra.ArbitraryArgs, RunE: needsCommand}
	cmd.AddCommand(newVolumeLs(env, runVolumeLs), newVolumeInspect(env, runVolumeInspect), newVolumeCreate(env, runVolumeCreate),
		newVolumeRm(env, runVolumeRm), newVolumePrune(env, runVolumePrune))
	return cmd
}

type volumeLsOptions struct {
	quiet  bool
	format string
}

func newVolumeLs(env *Env, run action[volumeLsOptions]) *cobra.Command {
	opt := &volumeLsOptions{}
	cmd := command(env, "ls", "List volumes", nil, bind(env, opt, run))
	cmd.Flags().BoolVarP(&opt.quiet, "quiet", "q", false, "Show names only")
	cmd.Flags().StringVar(&opt.format, "format", "table", "Format: table, json (one object a line), or a Go template")
	return cmd
}

func runVolumeLs(_ context.Context, env *Env, opt *volumeLsOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		volumes, err := e.Volumes().List()
		if err != nil {
			return err
		}
		rows := make([][]string, len(volumes))
		for i, v := range volumes {
			switch {
			case opt.quiet:
				env.ui.Line("%s", v.Name)
			case opt.format == "json":
				err = errors.Join(err, env.ui.JSONLine(v))
			}
			rows[i] = []string{driver(v), v.Name}
		}
		switch {
		case opt.quiet || opt.format == "json":
			return err
		case opt.format != "table":
			return ui.Template(env.ui, opt.format, map[string]string{"Name": "VOLUME NAME", "Driver": "DRIVER", "Path": "MOUNTPOINT"}, volumes)
		}
		return env.ui.Table(ui.Narrow, []string{"DRIVER", "VOLUME NAME"}, rows)
	})
}

func driver(v volume.Volume) string {
	if v.Driver == "" {
		return "local"
	}
	return v.Driver
}

type inspectOptions struct {
	args   []string
	format string
}

func newVolumeInspect(env *Env, run action[inspectOptions]) *cobra.Command {
	opt := &inspectOptions{}
	cmd := command(env, "inspect VOLUME...", "Show all there is to know of volumes", &opt.args, bind(env, opt, run))
	cmd.Flags().StringVarP(&opt.format, "format", "f", "json", "Format: json, or a Go template")
	cmd.Args = takes("VOLUME...")
	return cmd
}

func runVolumeInspect(_ context.Context, env *Env, opt *inspectOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		var list []volume.Volume
		for _, name := range opt.args {
			v, err := e.Volumes().Inspect(name)
			if err != nil {
				return err
			}
			list = append(list, v)
		}
		return inspect(env.ui, opt.format, list)
	})
}
