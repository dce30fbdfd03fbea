package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/image"
)

type imageRmOptions struct {
	args  []string
	force bool
}

func newImageRm(env *Env, run action[imageRmOptions]) *cobra.Command {
	opt := &imageRmOptions{}
	cmd := command(env, "rm IMAGE...", "Remove images", &opt.args, bind(env, opt, run))
	cmd.Flags().BoolVarP(&opt.force, "force", "f", false, "Take all names of an ID, and names of images in use")
	cmd.Args = takes("IMAGE...")
	return cmd
}

func runImageRm(_ context.Context, env *Env, opt *imageRmOptions) error {
	return env.withImages(func(store *image.Store) error {
		if env.global.dryRun {
			intents, err := intentToRemoveImages(store, opt.args, opt.force)
			return errors.Join(env.would(intents), err)
		}
		var errs []error
		for _, ref := range opt.args {
			removed, err := store.Remove(ref, opt.force)
			showRemoved(env.ui, removed)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

func showRemoved(u *ui.UI, removed image.Removed) {
	for _, name := range removed.Untagged {
		u.Line("Untagged: %s", name)
	}
	for _, id := range removed.Deleted {
		u.Line("Deleted: sha256:%s", strings.TrimPrefix(id, "sha256:"))
	}
}

type imageTagOptions struct{ args []string }

func newImageTag(env *Env, run action[imageTagOptions]) *cobra.Command {
	opt := &imageTagOptions{}
	cmd := command(env, "tag IMAGE NAME", "Give an image a further name", &opt.args, bind(env, opt, run))
	cmd.Args = takes("IMAGE", "NAME")
	return cmd
}

func runImageTag(_ context.Context, env *Env, opt *imageTagOptions) error {
	return env.withImages(func(store *image.Store) error {
		if env.global.dryRun {
			intents, err := intentForImages(store, opt.args[:1], "tag "+opt.args[1], "asked to tag")
			return errors.Join(env.would(intents), err)
		}
		return store.Tag(opt.args[0], opt.args[1])
	})
}

type imagePruneOptions struct{ all, force bool }

func newImagePrune(env *Env, run action[imagePruneOptions]) *cobra.Command {
	opt := &imagePruneOptions{}
	cmd := command(env, "prune", "Remove images without a name that no container uses", nil, bind(env, opt, run))
	cmd.Flags().BoolVarP(&opt.all, "all", "a", false, "Images with a name too")
	cmd.Flags().BoolVarP(&opt.force, "force", "f", false, "Do not ask")
	return cmd
}

func runImagePrune(ctx context.Context, env *Env, opt *imagePruneOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		store, err := e.Images()
		if err != nil {
			return err
		}
		if env.global.dryRun {
			intents, err := intentToPruneImages(store, opt.all)
			return errors.Join(env.would(intents), err)
		}
		which := "images without a name"
		if opt.all {
			which = "all images"
		}
		if !opt.force && !env.ui.Confirm(fmt.Sprintf("This removes %s that no container uses, podman's too. Continue?", which)) {
			return nil
		}
		if err := engine.SweepBuilds(ctx, e); err != nil {
			return err
		}
		removed, err := store.Prune(opt.all)
		showRemoved(env.ui, removed)
		env.ui.Line("Total reclaimed space: %s", units.HumanSizeWithPrecision(float64(removed.Freed), 3))
		return err
	})
}
