package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/volume"
	"github.com/pcompose/pcompose/pod"
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
	cmd := command(env, "ls", "List volumes", nil, opt, run)
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
	cmd := command(env, "inspect VOLUME...", "Show all there is to know of volumes", &opt.args, opt, run)
	cmd.Flags().StringVarP(&opt.format, "format", "f", "json", "Format: json, or a Go template")
	cmd.Args = cobra.MinimumNArgs(1)
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

type volumeCreateOptions struct {
	args             []string
	driver           string
	labels, settings []string
}

func newVolumeCreate(env *Env, run action[volumeCreateOptions]) *cobra.Command {
	opt := &volumeCreateOptions{}
	cmd := command(env, "create VOLUME", "Create a volume", &opt.args, opt, run)
	cmd.Args = cobra.ExactArgs(1)
	cmd.Flags().StringVarP(&opt.driver, "driver", "d", "local", "Volume driver")
	cmd.Flags().StringArrayVar(&opt.labels, "label", nil, "Label, KEY=VALUE")
	cmd.Flags().StringArrayVarP(&opt.settings, "opt", "o", nil, "Driver option, KEY=VALUE")
	return cmd
}

func runVolumeCreate(_ context.Context, env *Env, opt *volumeCreateOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		v := pod.Volume{Name: opt.args[0], Driver: opt.driver, Labels: keyValues(opt.labels), DriverOpts: keyValues(opt.settings)}
		if err := e.Volumes().Create(v); err != nil {
			return err
		}
		env.ui.Line("%s", v.Name)
		return nil
	})
}

func keyValues(pairs []string) map[string]string {
	m := map[string]string{}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		m[key] = value
	}
	if len(m) == 0 {
		return nil
	}
	return m
}

type volumeRmOptions struct {
	args  []string
	force bool
}

func newVolumeRm(env *Env, run action[volumeRmOptions]) *cobra.Command {
	opt := &volumeRmOptions{}
	cmd := command(env, "rm VOLUME...", "Remove volumes with what is in them", &opt.args, opt, run)
	cmd.Args = cobra.MinimumNArgs(1)
	cmd.Flags().BoolVarP(&opt.force, "force", "f", false, "Volumes that do not exist are no error")
	return cmd
}

func runVolumeRm(ctx context.Context, env *Env, opt *volumeRmOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		users, err := volumeUsers(ctx, e)
		if err != nil {
			return err
		}
		var errs []error
		for _, name := range opt.args {
			exists, err := e.Volumes().Exists(name)
			switch {
			case err != nil:
			case !exists && opt.force:
			case !exists:
				err = fmt.Errorf("cannot remove volume %q: %w", name, volume.ErrNotFound)
			default:
				if err = e.Volumes().Remove(name, users[name]); err == nil {
					env.ui.Line("%s", name)
				}
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// volumeUsers are the containers that have each volume, of all projects.
func volumeUsers(ctx context.Context, e *engine.Engine) (map[string][]string, error) {
	projects, err := e.Projects(ctx)
	users := map[string][]string{}
	for _, p := range projects {
		for _, c := range p.Containers {
			for _, m := range c.Mounts {
				if m.Type == pod.MountVolume && m.Source != "" {
					users[m.Source] = append(users[m.Source], c.Name)
				}
			}
			for _, name := range c.Anonymous {
				users[name] = append(users[name], c.Name)
			}
		}
	}
	return users, err
}

type volumePruneOptions struct{ all, force bool }

func newVolumePrune(env *Env, run action[volumePruneOptions]) *cobra.Command {
	opt := &volumePruneOptions{}
	cmd := command(env, "prune", "Remove anonymous volumes that no container uses", nil, opt, run)
	cmd.Flags().BoolVarP(&opt.all, "all", "a", false, "Named volumes too")
	cmd.Flags().BoolVarP(&opt.force, "force", "f", false, "Do not ask")
	return cmd
}

func runVolumePrune(ctx context.Context, env *Env, opt *volumePruneOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		which := "anonymous volumes"
		if opt.all {
			which = "all volumes"
		}
		if !opt.force && !env.ui.Confirm("This removes "+which+" that no container uses, with what is in them. Continue?") {
			return nil
		}
		users, err := volumeUsers(ctx, e)
		if err != nil {
			return err
		}
		removed, err := e.Volumes().Prune(func(v volume.Volume) bool {
			return len(users[v.Name]) > 0 || !opt.all && !anonymous(v)
		})
		return errors.Join(env.ui.Text(lines(removed)), err)
	})
}

// anonymous tells volumes that no file names, by the label docker gives them too.
func anonymous(v volume.Volume) bool {
	_, ok := v.Labels["com.docker.volume.anonymous"]
	return ok
}
