package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/compose"
)

// global are the flags in front of the command.
type global struct {
	files, profiles, envFiles []string
	name, dir                 string
	parallel                  int
	progress, ansi            string
	dryRun, strict            bool
	allResources, compatible  bool
	root, runRoot, runtime    string
	networkCmd                string
}

// CommandLine is the command line for those who write about it: its commands, flags and help. It must not be run.
func CommandLine() *cobra.Command {
	root := newRoot(&Env{vars: map[string]string{}, now: time.Now})
	root.DisableAutoGenTag = true
	return root
}

// newRoot is the command line as a whole.
func newRoot(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "pcompose",
		Short: "Run Compose projects as pods",
		Long: "pcompose runs Compose projects as pods, without a daemon. Its commands, flags and output are those of docker compose.\n" +
			"Global flags stand in front of the command. Without -f the Compose file is looked for in this folder and those above.",
		Example: "  pcompose up -d --wait     # bring this folder's project up\n  pcompose logs -f          # watch it\n  pcompose down             # take it down; volumes stay",
		// Global flags stand in front of the command, as with docker compose: -f is another flag behind logs and rm.
		TraverseChildren: true,
		SilenceErrors:    true,
		SilenceUsage:     true,
		Version:          env.build.version(),
		Args:             cobra.ArbitraryArgs,
		RunE:             unknownCommand,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			env.command = cmd.CommandPath()
			if err := env.settle(cmd.Root().Flags().Changed); err != nil {
				return err
			}
			return enter(env, cmd)
		},
	}
	root.SetFlagErrorFunc(flagExplainer(env))
	// What follows a command that there is not is no flag of ours.
	root.Flags().SetInterspersed(false)
	env.global.bind(root.Flags(), env)
	root.PersistentFlags().BoolVar(&env.global.dryRun, "dry-run", false, "Print the plan instead of carrying it out")
	root.AddCommand(
		newUp(env, runUp), newDown(env, runDown), newCreate(env, runCreate), newStart(env, runStart), newStop(env, runStop),
		newRestart(env, runRestart), newKill(env, runKill), newPause(env, runPause), newUnpause(env, runUnpause), newRm(env, runRm), newScale(env, runScale), newPlan(env, runPlan), newCheck(env, runCheck),
		newPs(env, runPs), newLogs(env, runLogs), newExec(env, runExec), newRun(env, runOneOff), newAttach(env, runAttach), newTop(env, runTop), newWait(env, runWait),
		newPort(env, runPort), newListeners(env, runListeners), newLs(env, runLs), newConfig(env, runConfig), newPull(env, runPull), newBuild(env, runBuild), newPush(env, runPush), newPublish(env, runPublish), newImages(env, runImages),
		newVersion(env, runVersion), newDoctor(env, runDoctor), newInfo(env, runInfo), newCp(env, runCp), newExport(env, runExport), newCommit(env, runCommit), newEvents(env, runEvents), newWatch(env, runWatch), newStats(env, runStats), newPod(env), newVolume(env), newNetwork(env), newVolumes(env, runVolumes), newImage(env),
	)
	root.AddCommand(newBundle(env), newLogin(env, runLogin), newLogout(env, runLogout), newPluginMetadata(env), newAlpha(env))
	complete(env, root)
	help(root)
	return root
}

// bind declares the global flags; the environment gives their defaults.
func (g *global) bind(f *pflag.FlagSet, env *Env) {
	f.SortFlags = false
	f.StringArrayVarP(&g.files, "file", "f", nil, "Compose configuration files; - is standard input")
	f.StringVarP(&g.name, "project-name", "p", "", "Project name")
	f.StringArrayVar(&g.profiles, "profile", nil, "Profile to enable; * is all")
	f.StringArrayVar(&g.envFiles, "env-file", strings.FieldsFunc(env.getenv("COMPOSE_ENV_FILES"), func(c rune) bool { return c == ',' }), "Environment file to use instead of .env")
	f.StringVar(&g.dir, "project-directory", env.getenv("COMPOSE_PROJECT_DIR"), "Working directory of the project (default: that of the first Compose file)")
	f.IntVar(&g.parallel, "parallel", -1, "How many steps may run at once, -1 for all")
	f.StringVar(&g.progress, "progress", "", "How progress is shown: auto, tty, plain, json, quiet")
	f.StringVar(&g.ansi, "ansi", "auto", "When escape sequences are printed: auto, always, never")
	f.BoolVar(&g.allResources, "all-resources", false, "Make the volumes too that no service uses")
	f.BoolVar(&g.compatible, "compatibility", isTrue(env.getenv("COMPOSE_COMPATIBILITY")), "Name containers as docker-compose 1 did, project_service_1")
	f.BoolVar(&g.strict, "strict", false, "Fail where a key of the file would not be carried out, instead of warning")
	f.StringVar(&g.root, "root", env.getenv("PCOMPOSE_ROOT"), "Where state and volumes are kept (PCOMPOSE_ROOT)")
	f.StringVar(&g.runRoot, "runroot", env.getenv("PCOMPOSE_RUNROOT"), "Where what does not outlive a reboot is kept (PCOMPOSE_RUNROOT)")
	f.StringVar(&g.runtime, "runtime", "", "OCI runtime, by name or path (default: containers.conf, else crun, else runc, else the built-in one)")
	f.StringVar(&g.networkCmd, "network-cmd", env.getenv("PCOMPOSE_NETWORK_CMD"), "How new pods reach the host: veth, pasta, built-in (PCOMPOSE_NETWORK_CMD; default: veth for root, else pasta, else built-in)")
}

// settle completes the global flags from the environment where they were not given, checks them and makes the display.
func (env *Env) settle(changed func(flag string) bool) error {
	g := &env.global
	if limit := env.getenv("COMPOSE_PARALLEL_LIMIT"); g.parallel == -1 && limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil {
			return fmt.Errorf("COMPOSE_PARALLEL_LIMIT is %q, which is not a number", limit)
		}
		g.parallel = n
	}
	if g.progress == "" {
		g.progress = env.getenv("COMPOSE_PROGRESS")
	}
	if ansi := env.getenv("COMPOSE_ANSI"); ansi != "" && !changed("ansi") {
		g.ansi = ansi
	}
	if err := errors.Join(
		oneOf("--progress", g.progress, string(ui.Auto), string(ui.TTY), string(ui.Plain), string(ui.JSON), string(ui.Quiet)),
		oneOf("--ansi", g.ansi, string(ui.ANSIAuto), string(ui.ANSIAlways), string(ui.ANSINever)),
	); err != nil {
		return err
	}
	switch ansi, progress := ui.ANSI(g.ansi), ui.Mode(g.progress); {
	case ansi == ui.ANSINever && progress == ui.TTY:
		return errors.New("--progress tty redraws, which takes the escape sequences that --ansi never forbids")
	case ansi == ui.ANSIAlways && progress == ui.Plain:
		return errors.New("--progress plain has no escape sequences, which --ansi always asks for")
	}
	if g.name == "" {
		g.name = env.getenv("COMPOSE_PROJECT_NAME")
	}
	if g.name != "" && !regexp.MustCompile("^[a-z0-9][a-z0-9_-]*$").MatchString(g.name) {
		return fmt.Errorf("project name %q is not valid: it has lower case letters, digits, hyphens and underscores, and starts with a letter or digit", g.name)
	}
	env.ui = env.newUI()
	return nil
}

// oneOf refuses values that a flag does not have; "" is its default.
func oneOf(flag, value string, values ...string) error {
	for _, v := range values {
		if value == v || value == "" {
			return nil
		}
	}
	hint := ""
	if near := compose.DidYouMean(value, values); near != "" {
		hint = ", " + near
	}
	return fmt.Errorf("%s is one of %s, not %q%s", flag, strings.Join(values, ", "), value, hint)
}

// explainFlag adds the nearest flag to the error about an unknown one.
func explainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return explainValue(invalid)
	}
	if !errors.As(err, &unknown) {
		return fmt.Errorf("%w: see `%s --help`", err, cmd.CommandPath())
	}
	name := strings.TrimLeft(unknown.GetSpecifiedName(), "-")
	flag := "--" + name
	if unknown.GetSpecifiedShortnames() != "" {
		flag = "-" + name
	}
	if cmd.HasParent() && hasFlag(cmd.Root().Flags(), name) {
		return fmt.Errorf("flag %s of pcompose stands in front of the command: pcompose %s … %s", flag, flag, cmd.Name())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := compose.Nearest(name, names); near != "" && len(name) > 1 {
		return fmt.Errorf("%s has no flag %s: did you mean --%s?", cmd.CommandPath(), flag, near)
	}
	return fmt.Errorf("%s has no flag %s: see `%s --help`", cmd.CommandPath(), flag, cmd.CommandPath())
}

// unknownCommand is what runs where no command was named, or one that there is not.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	if !cmd.HasParent() && comesLater(args[0]) {
		return fmt.Errorf("%s has no `%s` yet", cmd.CommandPath(), args[0])
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, append(c.Aliases, c.Name())...)
	}
	hint := fmt.Sprintf("see `%s --help`", cmd.CommandPath())
	if near := compose.DidYouMean(args[0], names); near != "" {
		hint = near
	}
	return fmt.Errorf("%s has no command %q: %s", cmd.CommandPath(), args[0], hint)
}

// hasFlag says whether a set has a flag of that name or letter.
func hasFlag(f *pflag.FlagSet, name string) bool {
	return f.Lookup(name) != nil || len(name) == 1 && f.ShorthandLookup(name) != nil
}

// action is what a command does with the options read; tests put their own in its place.
type action[O any] func(ctx context.Context, env *Env, opt *O) error

// bind is a command's action with the options it will read.
func bind[O any](env *Env, opt *O, do action[O]) func(context.Context) error {
	return func(ctx context.Context) error { return do(ctx, env, opt) }
}

// command makes a command that takes arguments and runs until a signal ends it; args nil takes none.
func command(env *Env, use, short string, args *[]string, run func(context.Context) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, given []string) error {
			if args != nil {
				*args = given
			}
			ctx, stop := env.interruptible(cmd.Context())
			defer stop()
			return run(ctx)
		},
	}
	if args == nil {
		cmd.Args = takes()
	}
	cmd.Flags().SortFlags = false
	return cmd
}
