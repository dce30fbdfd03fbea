package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/offline"
)

func newBundle(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "bundle", Short: "Carry projects to machines without a registry", Args: cobra.ArbitraryArgs, RunE: needsCommand}
	cmd.AddCommand(newBundleSave(env, runBundleSave), newBundleUp(env, runUp), newBundleLoad(env, runBundleLoad), newBundleInspect(env, runBundleInspect),
		newBundleLs(env, runBundleLs), newBundleRm(env, runBundleRm))
	return cmd
}

// bundleOptions say which bundle is taken, and what it lacks.
type bundleOptions struct {
	args    []string
	secrets []string
}

func (o *bundleOptions) bind(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.secrets, "secret", nil, "File of a secret that the bundle was saved without, NAME=FILE")
}

func newBundleLoad(env *Env, run action[bundleOptions]) *cobra.Command {
	opt := &bundleOptions{}
	cmd := command(env, "load FILE", "Load a bundle's images and files, and start nothing", &opt.args, bind(env, opt, run))
	opt.bind(cmd)
	cmd.Args = takes("FILE")
	return cmd
}

func runBundleLoad(ctx context.Context, env *Env, opt *bundleOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		taken, err := opt.take(ctx, env, e)
		if err == nil && env.global.dryRun {
			return env.would(taken.absent)
		}
		if err == nil {
			env.ui.Line("Loaded project: %s: %s", taken.project, filepath.Join(taken.folder, offline.ComposeFile))
		}
		return err
	})
}

// newBundleUp is up of a bundle: the flags are those of up.
func newBundleUp(env *Env, run action[upOptions]) *cobra.Command {
	opt := &bundleOptions{}
	cmd := newUp(env, func(ctx context.Context, env *Env, up *upOptions) error {
		opt.args, up.services = up.services[:1], up.services[1:]
		planned, err := opt.open(ctx, env)
		if err != nil || !planned {
			return err
		}
		return run(ctx, env, up)
	})
	cmd.Use, cmd.Short = "up [OPTIONS] FILE [SERVICE...]", "Load a bundle, then create and start its containers"
	opt.bind(cmd)
	cmd.Args = takes("FILE...")
	return cmd
}

// open takes a bundle and makes its project the one that is loaded; files given by -f go over it. It is not planned where a dry
// run has left out images, by which plans are made.
func (o *bundleOptions) open(ctx context.Context, env *Env) (planned bool, err error) {
	if env.global.dir != "" {
		return false, errors.New("--project-directory does not go with a bundle, which has a folder of its own")
	}
	ctx, stop := env.interruptible(ctx)
	defer stop()
	err = env.withEngine(func(e *engine.Engine) error {
		taken, err := o.take(ctx, env, e)
		if err != nil {
			return err
		}
		env.bundle = &unpacked{reference: "bundle:" + o.args[0], folder: taken.folder}
		env.global.files = append([]string{env.bundle.reference}, env.global.files...)
		if planned = len(taken.absent) == 0; !planned {
			env.ui.Say("the rest can be planned once the images are there: `pcompose bundle load` brings them")
			return env.would(taken.absent)
		}
		return nil
	})
	return planned, err
}

// taken is a bundle that was taken; absent is what a dry run would have loaded.
type taken struct {
	folder, project string
	absent          []intent
}

// take unpacks a bundle, stores its images, and says which folder it is in. Done again it does nothing.
func (o *bundleOptions) take(ctx context.Context, env *Env, e *engine.Engine) (t taken, err error) {
	err = withBundle(env, e, o.args[0], func(b *offline.Bundle) (err error) {
		t, err = o.bring(ctx, env, e, b)
		return err
	})
	return t, err
}

// withBundle opens a bundle for use. "-" is standard input, which is written to disk first: a bundle is read at any place of it.
func withBundle(env *Env, e *engine.Engine, name string, use func(*offline.Bundle) error) error {
	open := func(path string) error {
		b, err := offline.Open(path)
		if err != nil {
			return err
		}
		defer b.Close()
		return use(b)
	}
	if name != "-" {
		path, err := filepath.Abs(name)
		if err != nil {
			return err
		}
		return open(path)
	}
	if isTerminal(env.streams.In) {
		return errors.New("cannot read a bundle from a terminal: name a file, or redirect standard input")
	}
	return engine.Bundles(e).Scratch(func(dir string) error {
		path := filepath.Join(dir, "standard-input")
		if err := writeFile(path, func(out io.Writer) error { _, err := io.Copy(out, env.streams.In); return err }); err != nil {
			return err
		}
		return open(path)
	})
}

func (o *bundleOptions) bring(ctx context.Context, env *Env, e *engine.Engine, b *offline.Bundle) (t taken, err error) {
	t.project = b.Project
	if t.folder, err = b.Unpack(ctx, engine.Bundles(e)); err != nil {
		return t, err
	}
	if err := o.give(b, t.folder, env.global.dryRun); err != nil {
		return t, err
	}
	store, err := e.Images()
	if err != nil {
		return t, err
	}
	for _, kept := range b.Images {
		if _, err := store.Lookup(kept.Name); err == nil {
			continue
		}
		if env.global.dryRun {
			t.absent = append(t.absent, intent{"image/" + kept.Name, "load", "the store does not have it"})
			continue
		}
		if _, err := image.Bring(ctx, store, kept, b.Path(), b); err != nil {
			return t, err
		}
		env.ui.Say(" Image %s  Loaded", kept.Name)
	}
	return t, nil
}

// give gives an unpacked bundle the secrets that it lacks.
func (o *bundleOptions) give(b *offline.Bundle, folder string, dryRun bool) error {
	given := map[string]bool{}
	for _, text := range o.secrets {
		name, file, ok := strings.Cut(text, "=")
		if !ok || file == "" {
			return fmt.Errorf("--secret: %q is not NAME=FILE", text)
		}
		if !slices.Contains(b.MissingSecrets, name) {
			return fmt.Errorf("--secret: the bundle lacks no secret %q: %s", name, cmp.Or(strings.Join(b.MissingSecrets, ", "), "none")+" it lacks")
		}
		given[name] = true
		if dryRun {
			continue
		}
		if err := offline.GiveSecret(folder, name, file); err != nil {
			return err
		}
	}
	for _, name := range b.MissingSecrets {
		if !given[name] && !offline.HasSecret(folder, name) {
			return fmt.Errorf("the bundle was saved without the secret %q: give it by --secret %s=FILE", name, name)
		}
	}
	return nil
}

// unpacked is a bundle to those who load projects: its file may name the files that came with it, and no others.
type unpacked struct{ reference, folder string }

// Accepts knows the reference of the bundle that this command is about.
func (u *unpacked) Accepts(reference string) bool { return u != nil && reference == u.reference }

// Fetch gives what was unpacked.
func (u *unpacked) Fetch(context.Context, string) (file, root string, err error) {
	return filepath.Join(u.folder, offline.ComposeFile), u.folder, nil
}

type bundleInspectOptions struct {
	inspectOptions
	compose bool
}

func newBundleInspect(env *Env, run action[bundleInspectOptions]) *cobra.Command {
	opt := &bundleInspectOptions{}
	cmd := command(env, "inspect FILE", "Show what a bundle has", &opt.args, bind(env, opt, run))
	cmd.Flags().StringVarP(&opt.format, "format", "f", "json", "Format: json, or a Go template")
	cmd.Flags().BoolVar(&opt.compose, "compose", false, "Print the Compose file in it")
	cmd.Args = takes("FILE")
	return cmd
}

// bundleDetail is a bundle as it is shown.
type bundleDetail struct {
	ID, Project string
	Images      []string
	Files       []string
	// MissingSecrets are those that must be given.
	MissingSecrets []string
	// Size is of all images and files in the bundle.
	Size string
}

func runBundleInspect(_ context.Context, env *Env, opt *bundleInspectOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		return withBundle(env, e, opt.args[0], func(b *offline.Bundle) error {
			if opt.compose {
				text, err := b.Compose()
				if err != nil {
					return err
				}
				return env.ui.Text(text)
			}
			return inspect(env.ui, opt.format, []bundleDetail{{
				b.ID.String(), b.Project, b.Contents.Images, b.Files, b.MissingSecrets, units.HumanSizeWithPrecision(float64(b.Size()), 3),
			}})
		})
	})
}
