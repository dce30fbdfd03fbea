package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/pod"
)

type imagesOptions struct {
	services []string
	quiet    bool
	format   string
}

func newImages(env *Env, run action[imagesOptions]) *cobra.Command {
	opt := &imagesOptions{}
	cmd := command(env, "images [OPTIONS] [SERVICE...]", "List images used by the created containers", &opt.services, bind(env, opt, run))
	cmd.Flags().StringVar(&opt.format, "format", "table", "Format: table, json")
	cmd.Flags().BoolVarP(&opt.quiet, "quiet", "q", false, "Show IDs only")
	return cmd
}

// used is the image of a container, by docker compose's names.
type used struct {
	ID, ContainerName, Repository, Tag, Platform string
	Size                                         int64
	// LastTagTime is when the image was pulled, or else made.
	LastTagTime time.Time
	created     string
}

func runImages(ctx context.Context, env *Env, opt *imagesOptions) error {
	if err := oneOf("--format", opt.format, "table", "json"); err != nil {
		return err
	}
	e, _, observed, err := env.look(ctx, opt.services)
	if err != nil {
		return err
	}
	defer e.Close()
	containers := chosen(observed, opt.services)
	list := []used{}
	for _, c := range containers {
		store, err := e.Images()
		if err != nil {
			return err
		}
		d, err := store.Inspect(c.ImageID)
		if err != nil && !errors.Is(err, image.ErrNotFound) {
			return err
		}
		u := used{ID: "sha256:" + strings.TrimPrefix(c.ImageID, "sha256:"), ContainerName: c.Name, Size: d.Size, Platform: "<unknown>", created: "N/A"}
		if err == nil {
			u.Platform, u.created = d.Config.OS+"/"+d.Config.Architecture, units.HumanDuration(env.now().Sub(d.Created))+" ago"
			u.LastTagTime = d.Created.UTC()
			if age := store.Age(d.ID); age != pod.UnknownAge {
				u.LastTagTime = env.now().Add(-age).UTC()
			}
		}
		u.Repository, u.Tag = split(c.Image)
		list = append(list, u)
	}
	return showImages(env.ui, opt, list)
}

func showImages(u *ui.UI, opt *imagesOptions, list []used) error {
	var ids []string
	rows := make([][]string, len(list))
	for i, l := range list {
		id := strings.TrimPrefix(l.ID, "sha256:")
		ids = append(ids, id)
		rows[i] = []string{l.ContainerName, l.Repository, l.Tag, l.Platform, shortID(id), units.HumanSizeWithPrecision(float64(l.Size), 3), l.created}
	}
	switch {
	case opt.quiet:
		slices.Sort(ids)
		return u.Text(lines(slices.Compact(ids)))
	case opt.format == "json":
		return u.JSONLine(list)
	}
	return u.Table(ui.Wide, []string{"CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"}, rows)
}

// split is a reference's name and its tag, "latest" where it has none; a digest stays with neither.
func split(ref string) (name, tag string) {
	name, _, digested := strings.Cut(ref, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i], name[i+1:]
	}
	if digested {
		return name, "<none>"
	}
	return name, "latest"
}

func shortID(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}
