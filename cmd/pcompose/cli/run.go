package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/mattn/go-shellwords"
	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/planner/desired"
)

// runOptions are those of the command run, which starts a one-off container.
type runOptions struct {
	args                              []string
	build, detach, remove             bool
	noTTY, tty, interactive           bool
	noDeps, servicePorts, useAliases  bool
	quiet, quietBuild, quietPull      bool
	removeOrphans                     bool
	env, envFiles, labels             []string
	publish, volumes, capAdd, capDrop []string
	entrypoint, name, user, workdir   string
	pull                              string
	entrypointGiven                   bool
}

func newRun(env *Env, run action[runOptions]) *cobra.Command {
	opt := &runOptions{}
	cmd := &cobra.Command{
		Use: "run [OPTIONS] SERVICE [COMMAND] [ARGS...]", Short: "Run a one-off command on a service", DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.args, opt.entrypointGiven = args, cmd.Flags().Changed("entrypoint")
			// run takes signals itself: once its container runs they are for that.
			return run(cmd.Context(), env, opt)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false)
	f.BoolVar(&opt.build, "build", false, "Build the image before starting the container")
	f.StringArrayVar(&opt.capAdd, "cap-add", nil, "Add a capability")
	f.StringArrayVar(&opt.capDrop, "cap-drop", nil, "Drop a capability")
	f.BoolVarP(&opt.detach, "detach", "d", false, "Run in the background and print the container's ID")
	f.StringVar(&opt.entrypoint, "entrypoint", "", "Entrypoint instead of the image's")
	f.StringArrayVarP(&opt.env, "env", "e", nil, "Set an environment variable, NAME=VALUE, or NAME for the caller's")
	f.StringArrayVar(&opt.envFiles, "env-from-file", nil, "Set environment variables from a file")
	f.BoolVarP(&opt.interactive, "interactive", "i", true, "Keep standard input open")
	f.StringArrayVarP(&opt.labels, "label", "l", nil, "Add or override a label")
	f.StringVar(&opt.name, "name", "", "Name of the container")
	f.BoolVarP(&opt.noTTY, "no-tty", "T", false, "Do not make a terminal (default: one, where standard input and output are terminals)")
	f.BoolVar(&opt.noDeps, "no-deps", false, "Do not start what the service depends on")
	f.StringArrayVarP(&opt.publish, "publish", "p", nil, "Publish a port of the container on the host")
	f.StringVar(&opt.pull, "pull", "policy", "Pull the image before running: always, missing, never, policy (what the file says)")
	f.BoolVarP(&opt.quiet, "quiet", "q", false, "Print nothing but the command's output")
	f.BoolVar(&opt.quietBuild, "quiet-build", false, "Build without showing progress")
	f.BoolVar(&opt.quietPull, "quiet-pull", false, "Pull without showing progress")
	f.BoolVar(&opt.removeOrphans, "remove-orphans", isTrue(env.getenv("COMPOSE_REMOVE_ORPHANS")), "Remove containers of services the file does not have")
	f.BoolVar(&opt.remove, "rm", false, "Remove the container when it has ended")
	f.BoolVarP(&opt.servicePorts, "service-ports", "P", false, "Publish the service's ports")
	f.BoolVarP(&opt.tty, "tty", "t", true, "Make a terminal")
	f.BoolVar(&opt.useAliases, "use-aliases", false, "Answer to the service's names too, as every container of a pod's network does")
	f.StringVarP(&opt.user, "user", "u", "", "Run as this user")
	f.StringArrayVarP(&opt.volumes, "volume", "v", nil, "Mount a volume or a folder, SOURCE:TARGET[:ro]")
	f.StringVarP(&opt.workdir, "workdir", "w", "", "Working directory of the command")
	// docker compose has --no-TTY in some versions.
	f.SetNormalizeFunc(lowerNames)
	return cmd
}

func (o *runOptions) check() error {
	switch {
	case len(o.args) == 0:
		return errors.New("run needs a service: see `pcompose run --help`")
	}
	return oneOf("--pull", o.pull, "always", "missing", "never", "policy")
}

// terminal says whether the container gets one.
func (o *runOptions) terminal(s Streams) bool {
	if o.detach {
		return o.tty && !o.noTTY && isTerminal(s.Out)
	}
	return o.tty && !o.noTTY && isTerminal(s.In) && isTerminal(s.Out)
}

// oneOff is what the flags say of the container.
func (o *runOptions) oneOff(env *Env, slug string) (desired.OneOff, error) {
	one := desired.OneOff{
		Service: o.args[0], Name: o.name, Slug: slug, Labels: map[string]string{},
		User: o.user, WorkingDir: o.workdir, CapAdd: o.capAdd, CapDrop: o.capDrop,
		Volumes: o.volumes, Ports: o.publish, Dir: env.dir, ServicePorts: o.servicePorts,
		TTY: o.terminal(env.streams), Stdin: o.interactive, Detached: o.detach, AutoRemove: o.detach && o.remove,
	}
	if len(o.args) > 1 {
		one.Command = o.args[1:]
	}
	if o.entrypointGiven {
		words, err := shellwords.Parse(o.entrypoint)
		if err != nil {
			return one, fmt.Errorf("--entrypoint: %q is no command: %w", o.entrypoint, err)
		}
		one.Entrypoint = append([]string{}, words...)
	}
	for _, label := range o.labels {
		key, value, _ := strings.Cut(label, "=")
		one.Labels[key] = value
	}
	var err error
	one.Env, err = o.environment(env)
	return one, err
}

// environment is that of the files, each over the one before, and the flags' over all.
func (o *runOptions) environment(env *Env) (map[string]string, error) {
	all := map[string]string{}
	for _, path := range o.envFiles {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("--env-from-file: %w", err)
		}
		vars, err := dotenv.UnmarshalBytesWithLookup(text, env.lookup)
		if err != nil {
			return nil, fmt.Errorf("--env-from-file: cannot read %s: %w", path, err)
		}
		for name, value := range vars {
			all[name] = value
		}
	}
	for name, value := range env.pairs(o.env) {
		all[name] = value
	}
	return all, nil
}
