package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/offline"
)

type bundleLsOptions struct {
	format string
	quiet  bool
}

func newBundleLs(env *Env, run action[bundleLsOptions]) *cobra.Command {
	opt := &bundleLsOptions{}
	cmd := command(env, "ls", "List the bundles that were loaded", nil, bind(env, opt, run))
	cmd.Flags().StringVar(&opt.format, "format", "table", "Format: table, json")
	cmd.Flags().BoolVarP(&opt.quiet, "quiet", "q", false, "Show IDs only")
	return cmd
}

// loadedBundle is a bundle whose files lie on this machine. Projects are those that were brought up from it and not taken down.
type loadedBundle struct {
	ID, Folder string
	Projects   []string
}

func loadedBundles(ctx context.Context, e *engine.Engine) ([]loadedBundle, error) {
	ids, err := engine.Bundles(e).Names()
	if err != nil {
		return nil, err
	}
	projects, err := e.Projects(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]loadedBundle, len(ids))
	for i, id := range ids {
		all[i] = loadedBundle{ID: id, Folder: filepath.Join(string(engine.Bundles(e)), id), Projects: []string{}}
		for _, p := range projects {
			if p.Spec != nil && p.Spec.Dir == all[i].Folder {
				all[i].Projects = append(all[i].Projects, p.Name)
			}
		}
	}
	return all, nil
}

func runBundleLs(ctx context.Context, env *Env, opt *bundleLsOptions) error {
	if err := oneOf("--format", opt.format, "table", "json"); err != nil {
		return err
	}
	return env.withEngine(func(e *engine.Engine) error {
		all, err := loadedBundles(ctx, e)
		switch {
		case err != nil:
			return err
		case opt.quiet:
			for _, b := range all {
				env.ui.Line("%s", b.ID)
			}
			return nil
		case opt.format == "json":
			return env.ui.JSONLine(all)
		}
		rows := make([][]string, len(all))
		for i, b := range all {
			rows[i] = []string{shortID(b.ID), strings.Join(b.Projects, ","), b.Folder}
		}
		return env.ui.Table(ui.Wide, []string{"BUNDLE ID", "PROJECTS", "FOLDER"}, rows)
	})
}

type bundleRmOptions struct{ args []string }

func newBundleRm(env *Env, run action[bundleRmOptions]) *cobra.Command {
	opt := &bundleRmOptions{}
	cmd := command(env, "rm BUNDLE...", "Remove the files of loaded bundles", &opt.args, bind(env, opt, run))
	cmd.Args = takes("BUNDLE...")
	return cmd
}

func runBundleRm(ctx context.Context, env *Env, opt *bundleRmOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		all, err := loadedBundles(ctx, e)
		if err != nil {
			return err
		}
		var intents []intent
		var errs []error
		for _, arg := range opt.args {
			b, err := chooseBundle(all, arg)
			switch {
			case err != nil:
			case len(b.Projects) > 0:
				err = fmt.Errorf("project %q has mounts of it: take that down first", b.Projects[0])
			case env.global.dryRun:
				intents = append(intents, intent{"bundle/" + shortID(b.ID), "remove", "asked to remove"})
			default:
				if err = engine.Bundles(e).Remove(ctx, b.ID); err == nil {
					env.ui.Line("%s", b.ID)
				}
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("cannot remove bundle %q: %w", arg, err))
			}
		}
		if env.global.dryRun {
			errs = append(errs, env.would(intents))
		}
		return errors.Join(errs...)
	})
}

// chooseBundle finds a loaded bundle by its ID, the beginning of it, or the file that it came from.
func chooseBundle(all []loadedBundle, arg string) (loadedBundle, error) {
	if _, err := os.Stat(arg); err == nil {
		b, err := offline.Open(arg)
		if err != nil {
			return loadedBundle{}, err
		}
		arg = b.ID.Encoded()
		if err := b.Close(); err != nil {
			return loadedBundle{}, err
		}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(b loadedBundle) bool { return !strings.HasPrefix(b.ID, arg) })
	switch {
	case arg == "" || len(all) == 0:
		return loadedBundle{}, errors.New("no bundle with this ID was loaded: see `pcompose bundle ls`")
	case len(all) > 1:
		return loadedBundle{}, fmt.Errorf("%d bundles have IDs that begin so", len(all))
	}
	return all[0], nil
}
