package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
)

type configOptions struct {
	services             []string
	format, output, hash string
	quiet                bool
	// list is the flag whose list was asked for, "" for the project.
	list string
	skip load.Steps
	// pin puts digests to images; lock prints nothing else.
	pin, lock bool
}

func newConfig(env *Env, run action[configOptions]) *cobra.Command {
	opt := &configOptions{}
	cmd := command(env, "config [OPTIONS] [SERVICE...]", "Parse, resolve and render compose file in canonical format", &opt.services, bind(env, opt, run))
	cmd.Aliases = []string{"convert"}
	f := cmd.Flags()
	f.StringVar(&opt.format, "format", "", "Format: yaml, json")
	f.BoolVarP(&opt.quiet, "quiet", "q", false, "Only check the file, print nothing")
	f.StringVarP(&opt.output, "output", "o", "", "Write to a file instead of standard output")
	for _, l := range listings() {
		f.BoolFunc(l.flag, l.usage, func(string) error {
			opt.list = l.flag
			return nil
		})
		f.Lookup(l.flag).DefValue = "false"
	}
	f.StringVar(&opt.hash, "hash", "", "Print the hash of a service's configuration; * is all services")
	f.BoolVar(&opt.skip.Interpolation, "no-interpolate", false, "Leave variables as they are written")
	f.BoolVar(&opt.skip.Normalization, "no-normalize", false, "Do not add what is implied, such as the default network")
	f.BoolVar(&opt.skip.Paths, "no-path-resolution", false, "Leave paths as they are written")
	f.BoolVar(&opt.skip.Consistency, "no-consistency", false, "Do not check that what is named exists")
	f.BoolVar(&opt.skip.Environment, "no-env-resolution", false, "Leave env_file as it is written")
	f.BoolVar(&opt.pin, "resolve-image-digests", false, "Pin images to the digests that their registries have now")
	f.BoolVar(&opt.lock, "lock-image-digests", false, "Print an override file with the digests of the images")
	return cmd
}

func runConfig(ctx context.Context, env *Env, opt *configOptions) error {
	text, err := configText(ctx, env, opt)
	switch {
	case err != nil:
		return err
	case opt.quiet:
		return nil
	case opt.output != "" && env.global.dryRun:
		return env.would([]intent{{"file/" + opt.output, "write", "asked to write the configuration"}})
	case opt.output != "" && len(text) > 0:
		if err := os.WriteFile(opt.output, text, 0o666); err != nil {
			return fmt.Errorf("cannot write configuration: %w", err)
		}
		return nil
	}
	return env.ui.Text(text)
}

// configText is what was asked for, of the project or of its files with the variables not replaced.
func configText(ctx context.Context, env *Env, opt *configOptions) ([]byte, error) {
	if env.global.compatible {
		opt.skip.Normalization = true // as docker compose has it
	}
	options := env.loadOptions(opt.services)
	options.Skip = opt.skip
	if opt.list == "variables" || opt.skip.Interpolation && opt.hash == "" && (opt.list == "" || opt.list == "services") {
		tree, warnings, err := load.Tree(ctx, options)
		if err != nil {
			return nil, err
		}
		env.warn(warnings)
		return opt.renderTree(ctx, tree)
	}
	options.Skip.Interpolation = false
	if opt.list != "" && opt.list != "environment" || opt.hash != "" {
		options.Skip.Environment = true
	}
	project, err := load.Load(ctx, options)
	if err != nil {
		return nil, err
	}
	env.warn(project.Warnings)
	unsupported := compose.Problems(load.Unsupported(project)).Sorted(env.dir)
	if env.global.strict && len(unsupported) > 0 {
		return nil, unsupported
	}
	env.warn(unsupported)
	services := opt.services
	if opt.list == "services" || opt.list == "volumes" || opt.list == "networks" || opt.list == "models" || opt.hash != "" {
		services = nil // these are of the whole project, whatever services are named
	}
	if project, err = load.Select(project, services, env.global.allResources); err != nil {
		return nil, err
	}
	if !options.Skip.Environment {
		project = load.WithoutEnvFiles(project)
	}
	return opt.render(ctx, project)
}
