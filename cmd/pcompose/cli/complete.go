package cli

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
)

// names are the words that may stand in a place of a command line. What cannot be found out has none: a shell that
// completes is no place for errors.
type names func(ctx context.Context, env *Env, cmd *cobra.Command, args []string) []string

// complete gives every command of the tree the names that may be its arguments and the values of its flags.
func complete(env *Env, root *cobra.Command) {
	for path, source := range argumentNames() {
		cmd, rest, err := root.Find(strings.Fields(path))
		if err != nil || cmd == root || len(rest) > 0 {
			continue // a command that there is not yet
		}
		cmd.ValidArgsFunction = shellNames(env, source)
	}
	flags := flagNames()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, name := range slices.Sorted(maps.Keys(flags)) {
			if cmd.LocalFlags().Lookup(name) != nil {
				// It fails for a flag that has names already.
				_ = cmd.RegisterFlagCompletionFunc(name, shellNames(env, flags[name]))
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// shellNames are names as the shell wants them: those that begin as typed, without those given already.
func shellNames(env *Env, source names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		// The global flags are parsed by now, and nothing else is done that a command begins with.
		if err := env.settle(cmd.Root().Flags().Changed); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		var found []string
		for _, name := range source(cmd.Context(), env, cmd, args) {
			if strings.HasPrefix(name, typed) && !slices.Contains(args, name) {
				found = append(found, name)
			}
			if strings.HasSuffix(name, "=") {
				directive |= cobra.ShellCompDirectiveNoSpace
			}
		}
		slices.Sort(found)
		return slices.Compact(found), directive
	}
}

// argumentNames are the sources of names by command.
func argumentNames() map[string]names {
	sources := map[string]names{
		"scale": scaled, "pod inspect": projects, "volume rm": volumes, "volume inspect": volumes, "network rm": networks, "network inspect": networks, "image rm": images,
		"image inspect": images, "image save": images, "image tag": first(images), "image push": images, "image copy": images,
	}
	for _, cmd := range []string{
		"build", "config", "create", "down", "events", "images", "kill", "listeners", "logs", "pause", "plan", "ps", "pull", "push", "restart", "rm",
		"start", "stats", "stop", "top", "unpause", "up", "volumes", "wait",
	} {
		sources[cmd] = services
	}
	for _, cmd := range []string{"attach", "commit", "exec", "export", "port", "run"} {
		sources[cmd] = first(services)
	}
	return sources
}

// flagNames are the sources of values by flag.
func flagNames() map[string]names {
	return map[string]names{
		"project-name": projects, "profile": profilesOf, "exit-code-from": services, "attach": services, "no-attach": services,
		"scale": scaled, "index": replicas,
		"progress": words("auto", "tty", "plain", "json", "quiet"), "ansi": words("auto", "always", "never"),
		"pull": words("always", "missing", "never", "policy"), "policy": words("always", "missing"), "rmi": words("local", "all"),
		"status":   words("created", "running", "paused", "restarting", "exited"),
		"protocol": words("tcp", "udp"), "signal": words("SIGTERM", "SIGKILL", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGSTOP", "SIGCONT"),
	}
}

func words(list ...string) names {
	return func(context.Context, *Env, *cobra.Command, []string) []string { return list }
}

// first are names for the first argument only.
func first(source names) names {
	return func(ctx context.Context, env *Env, cmd *cobra.Command, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		return source(ctx, env, cmd, args)
	}
}

// services are those of the file, those of profiles that are not enabled too, since to name one enables it. Where there is
// no file, those of the pod that is named.
func services(ctx context.Context, env *Env, _ *cobra.Command, _ []string) []string {
	project, err := env.load(ctx, nil)
	if err == nil {
		return slices.Concat(slices.Collect(maps.Keys(project.Model.Services)), slices.Collect(maps.Keys(project.Model.DisabledServices)))
	}
	var found []string
	glance(env, func(e *engine.Engine) {
		observed, err := e.Observe(ctx, env.global.name, nil)
		if err != nil || env.global.name == "" {
			return
		}
		for _, c := range observed.Containers {
			found = append(found, c.Service)
		}
	})
	return found
}

func scaled(ctx context.Context, env *Env, cmd *cobra.Command, args []string) []string {
	all := services(ctx, env, cmd, args)
	for i := range all {
		all[i] += "="
	}
	return all
}

func profilesOf(ctx context.Context, env *Env, _ *cobra.Command, _ []string) []string {
	project, err := env.load(ctx, nil)
	if err != nil {
		return nil
	}
	return profiles(project.Model.Services, project.Model.DisabledServices)
}

// replicas are the numbers of the containers of the service that was named.
func replicas(ctx context.Context, env *Env, _ *cobra.Command, args []string) []string {
	t, err := env.target(ctx)
	if err != nil || len(args) == 0 {
		return nil
	}
	var found []string
	glance(env, func(e *engine.Engine) {
		observed, err := e.Observe(ctx, t.name, nil)
		if err != nil {
			return
		}
		for _, c := range chosen(observed, args[:1]) {
			found = append(found, strconv.Itoa(c.Replica))
		}
	})
	return found
}

func projects(ctx context.Context, env *Env, _ *cobra.Command, _ []string) []string {
	var found []string
	glance(env, func(e *engine.Engine) {
		pods, err := e.Projects(ctx)
		if err != nil {
			return
		}
		for _, p := range pods {
			found = append(found, p.Name)
		}
	})
	return found
}

func volumes(_ context.Context, env *Env, _ *cobra.Command, _ []string) []string {
	var found []string
	glance(env, func(e *engine.Engine) {
		list, err := e.Volumes().List()
		if err != nil {
			return
		}
		for _, v := range list {
			found = append(found, v.Name)
		}
	})
	return found
}

func networks(_ context.Context, env *Env, _ *cobra.Command, _ []string) []string {
	var found []string
	glance(env, func(e *engine.Engine) {
		list, err := engine.Networks(e)
		if err != nil {
			return
		}
		for _, n := range list {
			found = append(found, n.Name)
		}
	})
	return found
}

func images(_ context.Context, env *Env, _ *cobra.Command, _ []string) []string {
	var found []string
	glance(env, func(e *engine.Engine) {
		store, err := e.Images()
		if err != nil {
			return
		}
		list, err := store.List()
		if err != nil {
			return
		}
		for _, img := range list {
			found = append(found, img.Names...)
		}
	})
	return found
}

// glance runs look with the engine, where there may be one.
func glance(env *Env, look func(*engine.Engine)) {
	// Who is not root has no names from it, and no error in the middle of a line.
	_ = env.withEngine(func(e *engine.Engine) error {
		look(e)
		return nil
	})
}
