package cli

import (
	"context"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/image"
)

func newImage(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Manage images", Args: cobra.ArbitraryArgs, RunE: needsCommand}
	cmd.AddCommand(newImageLs(env, runImageLs), newImageInspect(env, runImageInspect), newImagePull(env, runImagePull), newImageRm(env, runImageRm),
		newImageTag(env, runImageTag), newImagePrune(env, runImagePrune), newImageLoad(env, runImageLoad), newImageSave(env, runImageSave), newImageCopy(env, runImageCopy))
	return cmd
}

// withImages runs do with the image store.
func (env *Env) withImages(do func(*image.Store) error) error {
	return env.withEngine(func(e *engine.Engine) error {
		store, err := e.Images()
		if err != nil {
			return err
		}
		return do(store)
	})
}

type imageLsOptions struct {
	quiet, noTrunc bool
	format         string
}

func newImageLs(env *Env, run action[imageLsOptions]) *cobra.Command {
	opt := &imageLsOptions{}
	cmd := command(env, "ls", "List images", nil, bind(env, opt, run))
	cmd.Flags().BoolVarP(&opt.quiet, "quiet", "q", false, "Show IDs only")
	cmd.Flags().BoolVar(&opt.noTrunc, "no-trunc", false, "Do not shorten IDs")
	cmd.Flags().StringVar(&opt.format, "format", "table", "Format: table, json (one object a line), or a Go template")
	return cmd
}

// stored is a name of an image as image ls shows it, by docker's names.
type stored struct{ Repository, Tag, ID, CreatedSince, CreatedAt, Size, Digest string }

func runImageLs(_ context.Context, env *Env, opt *imageLsOptions) error {
	return env.withImages(func(store *image.Store) error {
		images, err := store.List()
		if err != nil {
			return err
		}
		var list []stored
		for _, img := range images {
			id := img.ID
			if !opt.noTrunc {
				id = shortID(id)
			}
			if opt.quiet {
				env.ui.Line("%s", id)
			}
			s := stored{
				Repository: "<none>", Tag: "<none>", ID: id, CreatedSince: units.HumanDuration(env.now().Sub(img.Created)) + " ago",
				CreatedAt: img.Created.Format("2006-01-02 15:04:05 -0700 MST"), Size: units.HumanSizeWithPrecision(float64(img.Size), 3), Digest: img.Digest,
			}
			if len(img.Names) == 0 {
				list = append(list, s)
			}
			for _, name := range img.Names {
				s.Repository, s.Tag = split(name)
				list = append(list, s)
			}
		}
		if opt.quiet {
			return nil
		}
		return showStored(env.ui, opt.format, list)
	})
}

func showStored(u *ui.UI, format string, list []stored) error {
	rows := make([][]string, len(list))
	for i, s := range list {
		if format == "json" {
			if err := u.JSONLine(s); err != nil {
				return err
			}
		}
		rows[i] = []string{s.Repository, s.Tag, s.ID, s.CreatedSince, s.Size}
	}
	switch format {
	case "json":
		return nil
	case "table":
		return u.Table(ui.Narrow, []string{"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"}, rows)
	}
	headers := map[string]string{"Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "Size": "SIZE", "Digest": "DIGEST"}
	return ui.Template(u, format, headers, list)
}

func newImageInspect(env *Env, run action[inspectOptions]) *cobra.Command {
	opt := &inspectOptions{}
	cmd := command(env, "inspect IMAGE...", "Show all there is to know of images", &opt.args, bind(env, opt, run))
	cmd.Flags().StringVarP(&opt.format, "format", "f", "json", "Format: json, or a Go template")
	cmd.Args = takes("IMAGE...")
	return cmd
}

func runImageInspect(_ context.Context, env *Env, opt *inspectOptions) error {
	return env.withImages(func(store *image.Store) error {
		var list []image.Detail
		for _, ref := range opt.args {
			d, err := store.Inspect(ref)
			if err != nil {
				return err
			}
			list = append(list, d)
		}
		return inspect(env.ui, opt.format, list)
	})
}
