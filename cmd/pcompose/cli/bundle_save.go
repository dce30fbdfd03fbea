package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/compose/load"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/offline"
)

type bundleSaveOptions struct {
	services, platforms []string
	output              string
	secrets             bool
}

func newBundleSave(env *Env, run action[bundleSaveOptions]) *cobra.Command {
	opt := &bundleSaveOptions{}
	cmd := command(env, "save [OPTIONS] [SERVICE...]", "Write the project, with its images and files, into one file", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.StringVarP(&opt.output, "output", "o", "", "File to write (default: standard output)")
	f.StringArrayVar(&opt.platforms, "platform", nil, "Platform to carry images for, os/architecture[/variant] (default: this machine's)")
	f.BoolVar(&opt.secrets, "with-secrets", false, "Carry the secrets too: whoever has the file has them")
	return cmd
}

func runBundleSave(ctx context.Context, env *Env, opt *bundleSaveOptions) error {
	project, err := env.load(ctx, opt.services)
	if err != nil {
		return err
	}
	env.warn(project.Warnings)
	if project, err = load.Select(project, opt.services, env.global.allResources); err != nil {
		return err
	}
	carried, err := load.Carry(project, opt.secrets)
	if err != nil {
		return err
	}
	env.warn(carried.Left)
	for _, name := range carried.Missing {
		env.ui.Warn(fmt.Sprintf("the secret %q is left out: `bundle up --secret %s=FILE` gives it, or save with --with-secrets", name, name))
	}
	for _, name := range carried.Variables {
		env.ui.Warn(fmt.Sprintf("the secret of the variable %q is left out: it must be set where the project runs, or save with --with-secrets", name))
	}
	if env.global.dryRun {
		var intents []intent
		for _, i := range carried.Images {
			intents = append(intents, intent{"image/" + i.Ref, "save", "a service uses it"})
		}
		for _, f := range carried.Files {
			intents = append(intents, intent{"file/" + cmp.Or(f.Source, f.Name), "save", "a service uses it"})
		}
		return env.would(append(intents, intent{"file/" + cmp.Or(opt.output, "-"), "write", "asked to save"}))
	}
	if opt.output == "" && isTerminal(env.streams.Out) {
		return errors.New("cannot save a bundle to a terminal: name a file with -o, or redirect standard output")
	}
	return env.withEngine(func(e *engine.Engine) error {
		return engine.Bundles(e).Scratch(func(dir string) error {
			p, err := opt.gather(ctx, env, e, carried, dir)
			if err != nil {
				return err
			}
			p.Project = project.Name
			if opt.output == "" {
				return offline.Write(ctx, env.streams.Out, dir, p)
			}
			return writeFile(opt.output, func(out io.Writer) error { return offline.Write(ctx, out, dir, p) })
		})
	})
}

// gather brings all that a bundle has into a layout.
func (o *bundleSaveOptions) gather(ctx context.Context, env *Env, e *engine.Engine, carried *load.Portable, dir string) (p offline.Project, err error) {
	store, err := e.Images()
	if err != nil {
		return p, err
	}
	pinned := map[string]string{}
	for _, i := range carried.Images {
		options := image.KeepOptions{Platforms: o.platforms, Built: i.Built}
		if i.Platform != "" {
			options.Platforms = []string{i.Platform}
		}
		kept, err := image.Keep(ctx, store, i.Ref, dir, options)
		if err != nil {
			return p, err
		}
		if !slices.Contains(p.Contents.Images, kept.Name) {
			p.Images, p.Contents.Images = append(p.Images, kept), append(p.Contents.Images, kept.Name)
			env.ui.Say(" Image %s  Saved", kept.Name)
		}
		pinned[i.Ref] = kept.Name
	}
	for _, f := range carried.Files {
		p.Files, p.Contents.Files = append(p.Files, offline.File(f)), append(p.Contents.Files, f.Name)
	}
	p.MissingSecrets = carried.Missing
	p.Compose, err = carried.Compose(pinned)
	return p, err
}
