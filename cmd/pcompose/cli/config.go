package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
)

type configOptions struct {
	services                      []string
	format, output, hash          string
	quiet                         bool
	listServices, listImages      bool
	listVolumes, listProfiles     bool
	listNetworks, listEnvironment bool
}

func newConfig(env *Env, run action[configOptions]) *cobra.Command {
	opt := &configOptions{}
	cmd := command(env, "config [OPTIONS] [SERVICE...]", "Parse, resolve and render compose file in canonical format", &opt.services, bind(env, opt, run))
	cmd.Aliases = []string{"convert"}
	f := cmd.Flags()
	f.StringVar(&opt.format, "format", "yaml", "Format: yaml, json")
	f.BoolVarP(&opt.quiet, "quiet", "q", false, "Only check the file, print nothing")
	f.StringVarP(&opt.output, "output", "o", "", "Write to a file instead of standard output")
	f.BoolVar(&opt.listServices, "services", false, "Print the names of the services, one a line")
	f.BoolVar(&opt.listImages, "images", false, "Print the images, one a line")
	f.BoolVar(&opt.listVolumes, "volumes", false, "Print the names of the volumes, one a line")
	f.BoolVar(&opt.listNetworks, "networks", false, "Print the names of the networks, one a line")
	f.BoolVar(&opt.listProfiles, "profiles", false, "Print the profiles, one a line")
	f.BoolVar(&opt.listEnvironment, "environment", false, "Print the environment used for interpolation")
	f.StringVar(&opt.hash, "hash", "", "Print the hash of a service's configuration; * is all services")
	return cmd
}

func runConfig(ctx context.Context, env *Env, opt *configOptions) error {
	project, err := env.load(ctx, opt.services)
	if err != nil {
		return err
	}
	env.warn(project.Warnings)
	unsupported := compose.Problems(load.Unsupported(project)).Sorted(env.dir)
	if env.global.strict && len(unsupported) > 0 {
		return unsupported
	}
	env.warn(unsupported)
	if opt.quiet {
		return nil
	}
	text, err := opt.render(project)
	switch {
	case err != nil:
		return err
	case opt.output != "" && env.global.dryRun:
		return env.would([]intent{{"file/" + opt.output, "write", "asked to write the configuration"}})
	case opt.output != "":
		if err := os.WriteFile(opt.output, text, 0o644); err != nil {
			return fmt.Errorf("cannot write configuration: %w", err)
		}
		return nil
	}
	return env.ui.Text(text)
}

// render is what of the project was asked for.
func (o *configOptions) render(project *compose.Project) ([]byte, error) {
	model := project.Model
	if len(o.services) > 0 {
		maps.DeleteFunc(model.Services, func(name string, _ service) bool { return !slices.Contains(o.services, name) })
	}
	names := slices.Sorted(maps.Keys(model.Services))
	switch {
	case o.listServices:
	case o.listVolumes:
		names = slices.Sorted(maps.Keys(model.Volumes))
	case o.listNetworks:
		names = slices.Sorted(maps.Keys(model.Networks))
	case o.listProfiles:
		names = profiles(model.Services, model.DisabledServices)
	case o.listEnvironment:
		names = nil
		for _, k := range slices.Sorted(maps.Keys(model.Environment)) {
			names = append(names, k+"="+model.Environment[k])
		}
	case o.listImages:
		for i, name := range names {
			if names[i] = model.Services[name].Image; names[i] == "" {
				names[i] = project.Name + "-" + name
			}
		}
	case o.hash != "":
		return o.hashes(project, names)
	default:
		return load.Config(project, load.Format(o.format))
	}
	return lines(names), nil
}
