package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
	"github.com/pcompose/pcompose/engine/artifact"
	"github.com/pcompose/pcompose/engine/checkout"
	"github.com/pcompose/pcompose/engine/image"
)

// remotes are the places that Compose files may come from besides the machine. Copies are kept in the user's cache, as by
// docker compose: containers may have mounts of them, and may outlive a reboot.
func remotes(env *Env) []load.Remote {
	return []load.Remote{
		env.bundle,
		switched{artifact.New(filepath.Join(caches(env), "oci"), image.NewRegistries()), env, "COMPOSE_EXPERIMENTAL_OCI_REMOTE"},
		switched{repositories(env), env, "COMPOSE_EXPERIMENTAL_GIT_REMOTE"},
	}
}

// caches is the folder of the user's caches that is ours.
func caches(env *Env) string {
	dir := "/var/cache" // of services, which may have no home
	if home := env.getenv("HOME"); home != "" {
		dir = filepath.Join(home, ".cache")
	}
	return filepath.Join(cmp.Or(env.getenv("XDG_CACHE_HOME"), dir), "pcompose")
}

// repositories are git repositories, as the caller reaches them.
func repositories(env *Env) *checkout.Repositories {
	var environ []string
	for _, name := range slices.Sorted(maps.Keys(env.vars)) {
		environ = append(environ, name+"="+env.vars[name])
	}
	return checkout.New(filepath.Join(caches(env), "git"), environ)
}

// contexts are the folders that git URLs mean as contexts of builds; ok is false for what is none.
func contexts(env *Env) func(ctx context.Context, url string) (dir string, ok bool, err error) {
	return func(ctx context.Context, url string) (string, bool, error) {
		repositories := repositories(env)
		if !repositories.Accepts(url) {
			return "", false, nil
		}
		dir, err := repositories.Folder(ctx, url)
		if err != nil {
			err = fmt.Errorf("cannot fetch context %q: %w", url, err)
		}
		return dir, true, err
	}
}

// switched is a remote that a variable of the environment switches off.
type switched struct {
	load.Remote
	env      *Env
	variable string
}

func (s switched) Fetch(ctx context.Context, reference string) (file, root string, err error) {
	if value := s.env.getenv(s.variable); value != "" {
		on, err := strconv.ParseBool(value)
		if err != nil {
			return "", "", fmt.Errorf("%s is %q, which is neither true nor false", s.variable, value)
		}
		if !on {
			return "", "", fmt.Errorf("%s switches that off", s.variable)
		}
	}
	return s.Remote.Fetch(ctx, reference)
}

// confirmRemote tells the user of a project from elsewhere where it lies and what it takes from the environment, and asks
// whether to go on; what given has, NAME=VALUE, was given on the command line. Projects of the user's own are not asked about.
func confirmRemote(ctx context.Context, env *Env, project *compose.Project, given []string) error {
	var included []string
	first := -1
	for i, r := range project.Remotes {
		switch {
		case r.Main && first < 0:
			first = i
		case !r.Main:
			included = append(included, "  - "+compose.Redact(r.Reference)+"\n")
		}
	}
	if first < 0 || env.global.dryRun {
		return nil
	}
	cancelled := errors.New("operation cancelled by user")
	if len(included) > 0 && !env.ui.Yes {
		question := "\nWarning: This Compose project includes files from remote sources:\n" + strings.Join(included, "") +
			"\nRemote includes could potentially be malicious. Make sure you trust the source.\nDo you want to continue? [y/N]:"
		if !ui.Ask(env.ui, question, false) {
			return cancelled
		}
	}
	env.ui.Say("Your compose stack %q is stored in %q", compose.Redact(project.Remotes[first].Reference), project.Dir)
	if env.ui.Yes {
		return nil
	}
	tree, _, err := load.Tree(ctx, env.loadOptions(nil))
	if err != nil {
		return err
	}
	rows := sources(env, load.Variables(tree), given)
	if len(rows) == 0 {
		return nil
	}
	u := *env.ui
	u.Out = u.Err // this belongs to the question
	fmt.Fprintln(u.Out, "\nFound the following variables in configuration:")
	if err := u.Table(ui.Compact, []string{"VARIABLE", "VALUE", "SOURCE", "REQUIRED", "DEFAULT"}, rows); err != nil {
		return err
	}
	if !ui.Ask(&u, "\nDo you want to proceed with these variables? [Y/n]:", true) {
		return cancelled
	}
	return nil
}

// sources are rows of a table that says which value each variable has and where it is from.
func sources(env *Env, variables map[string]load.Variable, given []string) [][]string {
	named := map[string]string{}
	for _, g := range given {
		if name, value, ok := strings.Cut(g, "="); ok {
			named[name] = value
		}
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		v := variables[name]
		value, source := "<unset>", "none"
		if v.Default != "" {
			value, source = v.Default, "compose file"
		}
		if set, ok := env.resolved[name]; ok {
			value, source = set, "env file"
		}
		if set, ok := env.vars[name]; ok {
			value, source = set, "environment"
		}
		if set, ok := named[name]; ok {
			value, source = set, "command-line"
		}
		required := "no"
		if v.Required {
			required = "yes"
		}
		rows = append(rows, []string{name, value, source, required, v.Default})
	}
	return rows
}
