package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/volume"
	"github.com/pcompose/pcompose/pod"
)

type volumeCreateOptions struct {
	args             []string
	driver           string
	labels, settings []string
}

func newVolumeCreate(env *Env, run action[volumeCreateOptions]) *cobra.Command {
	opt := &volumeCreateOptions{}
	cmd := command(env, "create VOLUME", "Create a volume", &opt.args, bind(env, opt, run))
	cmd.Args = takes("VOLUME")
	cmd.Flags().StringVarP(&opt.driver, "driver", "d", "local", "Volume driver")
	cmd.Flags().StringArrayVar(&opt.labels, "label", nil, "Label, KEY=VALUE")
	cmd.Flags().StringArrayVarP(&opt.settings, "opt", "o", nil, "Driver option, KEY=VALUE")
	return cmd
}

func runVolumeCreate(_ context.Context, env *Env, opt *volumeCreateOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		v := pod.Volume{Name: opt.args[0], Driver: opt.driver, Labels: keyValues(opt.labels), DriverOpts: keyValues(opt.settings)}
		if env.global.dryRun {
			exists, err := e.Volumes().Exists(v.Name)
			if err != nil || exists {
				return errors.Join(env.would(nil), err)
			}
			return env.would([]intent{{"volume/" + v.Name, "create", "does not exist"}})
		}
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
	cmd := command(env, "rm VOLUME...", "Remove volumes with what is in them", &opt.args, bind(env, opt, run))
	cmd.Args = takes("VOLUME...")
	cmd.Flags().BoolVarP(&opt.force, "force", "f", false, "Volumes that do not exist are no error")
	return cmd
}

func runVolumeRm(ctx context.Context, env *Env, opt *volumeRmOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		users, err := volumeUsers(ctx, e)
		if err != nil {
			return err
		}
		if env.global.dryRun {
			intents, err := intentToRemove(e.Volumes(), opt.args, opt.force, users)
			return errors.Join(env.would(intents), err)
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
			for _, m := range slices.Concat(c.Mounts, c.Taken) {
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
	cmd := command(env, "prune", "Remove anonymous volumes that no container uses", nil, bind(env, opt, run))
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
		if !opt.force && !env.global.dryRun && !env.ui.Confirm("This removes "+which+" that no container uses, with what is in them. Continue?") {
			return nil
		}
		users, err := volumeUsers(ctx, e)
		if err != nil {
			return err
		}
		keep := func(v volume.Volume) bool { return len(users[v.Name]) > 0 || !opt.all && !anonymous(v) }
		if env.global.dryRun {
			intents, err := intentToPrune(e.Volumes(), keep)
			return errors.Join(env.would(intents), err)
		}
		removed, err := e.Volumes().Prune(keep)
		return errors.Join(env.ui.Text(lines(removed)), err)
	})
}

// anonymous tells volumes that no file names, by the label docker gives them too.
func anonymous(v volume.Volume) bool {
	_, ok := v.Labels["com.docker.volume.anonymous"]
	return ok
}
