package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
	"github.com/pcompose/pcompose/engine/artifact"
	"github.com/pcompose/pcompose/engine/image"
)

type publishOptions struct {
	args                   []string
	app, pin, withEnv, yes bool
	insecure               bool
	version                string
}

func newPublish(env *Env, run action[publishOptions]) *cobra.Command {
	opt := &publishOptions{}
	cmd := command(env, "publish [OPTIONS] REPOSITORY[:TAG]", "Publish compose application", &opt.args, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVar(&opt.app, "app", false, "Publish the images of the services too, and pin them")
	f.BoolVar(&opt.insecure, "insecure-registry", false, "Use a registry without TLS, or with a certificate nobody vouches for")
	f.StringVar(&opt.version, "oci-version", "", "Version of the OCI specifications, 1.0 or 1.1 (default: what the registry takes)")
	f.BoolVar(&opt.pin, "resolve-image-digests", false, "Pin images to the digests that their registries have now")
	f.BoolVar(&opt.withEnv, "with-env", false, "Publish environment variables and env files too")
	f.BoolVarP(&opt.yes, "yes", "y", false, "Answer every question with yes")
	cmd.Args = takes("a repository")
	return cmd
}

func runPublish(ctx context.Context, env *Env, opt *publishOptions) error {
	if err := oneOf("--oci-version", opt.version, "1.0", "1.1"); err != nil {
		return err
	}
	name, err := image.Name(opt.args[0])
	if err != nil {
		return err
	}
	options := env.loadOptions(nil)
	options.Profiles = []string{"*"} // whoever takes the project chooses
	project, err := load.Load(ctx, options)
	if err != nil {
		return err
	}
	env.resolved, env.loaded = project.Model.Environment, project
	env.warn(project.Warnings)
	published, err := load.Publish(ctx, options)
	if err != nil {
		return err
	}
	for _, line := range leftBehind(project) {
		env.ui.Warn(line)
	}
	env.ui.Yes = opt.yes || env.global.dryRun // a dry run gives nothing away
	if agreed, err := opt.agreed(env, project, published); err != nil || !agreed {
		return err
	}
	plan, _ := pushes(project.Model, nil)
	if env.global.dryRun {
		if !plan.Empty() {
			if err := env.ui.Plan(plan); err != nil {
				return err
			}
		}
		return env.would([]intent{{"project/" + project.Name, "publish as " + name, "asked to publish"}})
	}
	if err := pushImages(ctx, env, plan, true); err != nil {
		return err
	}
	publication, err := opt.publication(ctx, env, project, published)
	if err != nil {
		return err
	}
	registries := image.NewRegistries()
	if opt.insecure {
		registries = registries.Insecure()
	}
	env.ui.Say(" %s publishing", opt.args[0])
	if err := artifact.Publish(ctx, registries, name, publication); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("cannot publish project %q: %w", project.Name, err)
	}
	env.ui.Say(" %s published", opt.args[0])
	return nil
}

// publication is what is published, images pinned where that was asked for.
func (o *publishOptions) publication(ctx context.Context, env *Env, project *compose.Project, files []load.PublishedFile) (artifact.Publication, error) {
	p := artifact.Publication{OCI: o.version, Created: env.now(), Version: "pcompose " + env.build.version()}
	for _, f := range files {
		if f.Kind != load.EnvFile || o.withEnv {
			p.Files = append(p.Files, artifact.File{Name: f.Name, Kind: artifact.Kind(f.Kind), Content: f.Content})
		}
	}
	if !o.pin && !o.app {
		return p, nil
	}
	images := map[string]string{}
	for name, s := range project.Model.Services {
		images[name] = s.Image
	}
	if o.app {
		p.Images = slices.Compact(slices.Sorted(maps.Values(images)))
		p.Images = slices.DeleteFunc(p.Images, func(image string) bool { return image == "" })
	}
	if err := pin(ctx, images); err != nil {
		return p, err
	}
	override := map[string]any{}
	for name, image := range images {
		if image != "" {
			override[name] = map[string]any{"image": image}
		}
	}
	content, err := load.Print(map[string]any{"services": override}, load.YAML)
	if err != nil {
		return p, fmt.Errorf("cannot pin images: %w", err)
	}
	// In front of what is extended: of main files the later count.
	at := slices.IndexFunc(p.Files, func(f artifact.File) bool { return f.Kind != artifact.Main })
	if at < 0 {
		at = len(p.Files)
	}
	p.Files = slices.Insert(p.Files, at, artifact.File{Name: "image-digests.yaml", Kind: artifact.Main, Content: content})
	return p, nil
}

// agreed refuses what cannot be published, and asks about what perhaps should not; as docker compose does.
func (o *publishOptions) agreed(env *Env, project *compose.Project, files []load.PublishedFile) (bool, error) {
	model := project.Model
	var built []string
	for _, name := range slices.Sorted(maps.Keys(model.Services)) {
		if s := model.Services[name]; s.Image == "" && s.Build != nil {
			built = append(built, fmt.Sprintf("- %q\n", name))
		}
	}
	if len(built) > 0 {
		return false, fmt.Errorf("your Compose stack cannot be published as it only contains a build section for service(s):\n%s"+
			"give each a name with image: that others can pull", strings.Join(built, ""))
	}
	if mounts := bindMounts(model); len(mounts) > 0 && !env.ui.Confirm("you are about to publish bind mounts declaration within your OCI artifact.\n"+
		"only the bind mount declarations will be added to the OCI artifact (not content)\n"+
		"please double check that you are not mounting potential user's sensitive directories or data\n"+
		strings.Join(mounts, "")+"Are you ok to publish these bind mount declarations?") {
		return false, nil
	}
	found, err := sensitive(model, files)
	if err != nil {
		return false, err
	}
	if len(found) > 0 && !env.ui.Confirm("you are about to publish sensitive data within your OCI artifact.\n"+
		"please double check that you are not leaking sensitive data\n"+strings.Join(found, "")+"Are you ok to publish these sensitive data?") {
		return false, nil
	}
	named, variables := environments(model)
	if len(named) > 0 && !o.withEnv {
		return false, fmt.Errorf("%sTo avoid leaking sensitive data, you must either explicitly allow the sending of environment variables by using the --with-env flag,\n"+
			"or remove sensitive data from your Compose configuration", strings.Join(named, ""))
	}
	if len(variables) > 0 && !env.ui.Confirm("you are about to publish environment variables within your OCI artifact.\n"+
		"please double check that you are not leaking sensitive data\n"+strings.Join(variables, "")+"Are you ok to publish these environment variables?") {
		return false, nil
	}
	return true, nil
}
