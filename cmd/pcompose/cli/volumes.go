package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/pod"
)

type volumesOptions struct {
	services []string
	format   string
	quiet    bool
}

func newVolumes(env *Env, run action[volumesOptions]) *cobra.Command {
	opt := &volumesOptions{}
	cmd := command(env, "volumes [OPTIONS] [SERVICE...]", "List volumes", &opt.services, bind(env, opt, run))
	cmd.Flags().StringVar(&opt.format, "format", "table", "Format: table, json (one object a line), or a Go template")
	cmd.Flags().BoolVarP(&opt.quiet, "quiet", "q", false, "Only display volume names")
	return cmd
}

// volumeRow is a volume by the names docker compose's templates have.
type volumeRow struct {
	Availability, Driver, Group, Labels, Links, Mountpoint, Name, Scope, Size, Status string
}

// runVolumes lists the volumes made for the project, of the services named those that their containers have.
func runVolumes(ctx context.Context, env *Env, opt *volumesOptions) error {
	e, t, observed, err := env.look(ctx, opt.services)
	if err != nil {
		return err
	}
	defer e.Close()
	all, err := e.Volumes().List()
	if err != nil {
		return err
	}
	users := map[string]bool{}
	for _, c := range chosen(observed, opt.services) {
		for _, m := range slices.Concat(c.Mounts, c.Taken) {
			users[m.Source] = users[m.Source] || m.Type == pod.MountVolume
		}
	}
	list := []volumeRow{}
	for _, v := range all {
		if v.Labels[pod.LabelProject] != t.name || len(opt.services) > 0 && !users[v.Name] {
			continue
		}
		var labels []string
		for _, key := range slices.Sorted(maps.Keys(v.Labels)) {
			labels = append(labels, key+"="+v.Labels[key])
		}
		list = append(list, volumeRow{Availability: "N/A", Driver: driver(v), Group: "N/A", Labels: strings.Join(labels, ","), Links: "N/A",
			Mountpoint: v.Path, Name: v.Name, Scope: "local", Size: "N/A", Status: "N/A"})
	}
	return showVolumes(env.ui, opt, list)
}

func showVolumes(u *ui.UI, opt *volumesOptions, list []volumeRow) error {
	var names []string
	rows := make([][]string, len(list))
	for i, v := range list {
		names, rows[i] = append(names, v.Name), []string{v.Driver, v.Name}
	}
	switch {
	case opt.quiet:
		return u.Text(lines(names))
	case opt.format == "json":
		for _, v := range list {
			if err := u.JSONLine(v); err != nil {
				return fmt.Errorf("cannot list volumes: %w", err)
			}
		}
		return nil
	case opt.format != "table":
		return ui.Template(u, opt.format, map[string]string{"Name": "VOLUME NAME", "Driver": "DRIVER", "Mountpoint": "MOUNTPOINT",
			"Labels": "LABELS", "Scope": "SCOPE", "Size": "SIZE", "Links": "LINKS", "Availability": "AVAILABILITY", "Group": "GROUP", "Status": "STATUS"}, list)
	}
	return u.Table(ui.Narrow, []string{"DRIVER", "VOLUME NAME"}, rows)
}
