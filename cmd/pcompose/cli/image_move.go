package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/pod"
)

type imagePullOptions struct {
	args     []string
	platform string
	quiet    bool
}

func newImagePull(env *Env, run action[imagePullOptions]) *cobra.Command {
	opt := &imagePullOptions{}
	cmd := command(env, "pull IMAGE...", "Pull images", &opt.args, bind(env, opt, run))
	cmd.Flags().StringVar(&opt.platform, "platform", "", "Platform, os/architecture[/variant]")
	cmd.Flags().BoolVarP(&opt.quiet, "quiet", "q", false, "Pull without showing progress")
	cmd.Args = takes("IMAGE...")
	return cmd
}

func runImagePull(ctx context.Context, env *Env, opt *imagePullOptions) error {
	if opt.quiet {
		env.ui.Mode = ui.Quiet
	}
	spec := pod.Spec{}
	for _, ref := range opt.args {
		spec.Containers = append(spec.Containers, pod.Container{Image: ref, Platform: opt.platform})
	}
	plan := pulls(spec, nil, func(pod.Container) string { return "asked to pull" })
	if env.global.dryRun {
		return env.ui.Plan(plan)
	}
	return env.withEngine(func(e *engine.Engine) error {
		// Pulling is no project's: the project is one without a name, whose lock nobody takes.
		return runner{env, e}.execute(ctx, e.Project(""), plan, nil)
	})
}

type imageLoadOptions struct{ input string }

func newImageLoad(env *Env, run action[imageLoadOptions]) *cobra.Command {
	opt := &imageLoadOptions{}
	cmd := command(env, "load", "Load images from an archive", nil, bind(env, opt, run))
	cmd.Flags().StringVarP(&opt.input, "input", "i", "", "Archive to read (default: standard input)")
	return cmd
}

func runImageLoad(ctx context.Context, env *Env, opt *imageLoadOptions) error {
	in := env.streams.In
	if env.global.dryRun {
		_, err := os.Stat(cmp.Or(opt.input, os.DevNull))
		return errors.Join(env.would([]intent{{"archive/" + cmp.Or(opt.input, "-"), "load", "asked to load"}}), err)
	}
	switch {
	case opt.input != "":
		f, err := os.Open(opt.input)
		if err != nil {
			return fmt.Errorf("cannot load images: %w", err)
		}
		defer f.Close()
		in = f
	case isTerminal(in):
		return errors.New("cannot load images from a terminal: name an archive with -i, or redirect standard input")
	}
	return env.withImages(func(store *image.Store) error {
		names, err := store.Load(ctx, in)
		for _, name := range names {
			env.ui.Line("Loaded image: %s", name)
		}
		return err
	})
}

type imageSaveOptions struct {
	args           []string
	output, format string
}

func newImageSave(env *Env, run action[imageSaveOptions]) *cobra.Command {
	opt := &imageSaveOptions{}
	cmd := command(env, "save IMAGE...", "Save images to an archive", &opt.args, bind(env, opt, run))
	cmd.Flags().StringVarP(&opt.output, "output", "o", "", "File to write (default: standard output)")
	cmd.Flags().StringVar(&opt.format, "format", image.DockerArchive, "Format: docker-archive, oci-archive")
	cmd.Args = takes("IMAGE...")
	return cmd
}

func runImageSave(ctx context.Context, env *Env, opt *imageSaveOptions) error {
	if err := oneOf("--format", opt.format, image.DockerArchive, image.OCIArchive); err != nil {
		return err
	}
	if env.global.dryRun {
		return env.withImages(func(store *image.Store) error {
			intents, err := intentForImages(store, opt.args, "save to "+cmp.Or(opt.output, "standard output"), "asked to save")
			return errors.Join(env.would(intents), err)
		})
	}
	if opt.output == "" && isTerminal(env.streams.Out) {
		return errors.New("cannot save images to a terminal: name a file with -o, or redirect standard output")
	}
	return env.withImages(func(store *image.Store) error {
		if opt.output == "" {
			return store.Save(ctx, opt.args, opt.format, env.streams.Out)
		}
		return writeFile(opt.output, func(out io.Writer) error { return store.Save(ctx, opt.args, opt.format, out) })
	})
}

// writeFile makes a file, or writes over one, when all of it is there: an archive that failed half-way takes nobody's older
// one with it. What is no regular file, as a FIFO or a device, is written as it is.
func writeFile(path string, write func(io.Writer) error) (err error) {
	var f *os.File
	if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() {
		f, err = os.OpenFile(path, os.O_WRONLY, 0)
	} else if f, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*"); err == nil {
		defer func() {
			if err == nil {
				err = os.Rename(f.Name(), path)
			}
			if err != nil {
				os.Remove(f.Name())
			}
		}()
	}
	if err != nil {
		var cause *os.PathError
		if errors.As(err, &cause) {
			err = cause.Err // the path is the temporary one
		}
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	err = write(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
