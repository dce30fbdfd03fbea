package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

type upOptions struct {
	selection
	detach                         bool
	waitTimeout                    time.Duration
	quietPull                      bool
	abortOnExit, abortOnFailure    bool
	exitCodeFrom                   string
	noPrefix, noColour, timestamps bool
	attach, noAttach               []string
	attachDependencies, menu       bool
	watch                          bool
	// begun is when the command was given.
	begun time.Time
}

func newUp(env *Env, run action[upOptions]) *cobra.Command {
	opt := &upOptions{}
	seconds := 0
	cmd := &cobra.Command{
		Use: "up [OPTIONS] [SERVICE...]", Short: "Create and start containers", DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.services, opt.waitTimeout = args, time.Duration(seconds)*time.Second
			if err := opt.check(); err != nil {
				return err
			}
			if opt.detach && opt.menu && cmd.Flags().Changed("menu") {
				return errors.New("--menu is for an up that shows logs: it does not go with -d and --wait")
			}
			// up takes signals itself: they mean another thing while it shows logs.
			return run(cmd.Context(), env, opt)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&opt.detach, "detach", "d", false, "Run in the background")
	f.BoolVar(&opt.wait, "wait", false, "Wait for services to be running or healthy; implies -d")
	f.IntVar(&seconds, "wait-timeout", 0, "Seconds to wait at most; 0 is no bound")
	f.BoolVar(&opt.noStart, "no-start", false, "Create the containers, start none")
	opt.bind(f, env)
	f.BoolVar(&opt.noDeps, "no-deps", false, "Leave out what the named services depend on")
	f.BoolVar(&opt.quietPull, "quiet-pull", false, "Pull without showing progress")
	f.BoolVar(&opt.quietBuild, "quiet-build", false, "Show nothing of builds")
	f.BoolVar(&opt.abortOnExit, "abort-on-container-exit", false, "Stop all containers when one exits")
	f.BoolVar(&opt.abortOnFailure, "abort-on-container-failure", false, "Stop all containers when one exits with a failure")
	f.StringVar(&opt.exitCodeFrom, "exit-code-from", "", "Return the exit code of this service's container; implies --abort-on-container-exit")
	f.StringArrayVar(&opt.attach, "attach", nil, "Show the logs of these services only")
	f.StringArrayVar(&opt.noAttach, "no-attach", nil, "Do not show the logs of these services")
	f.BoolVar(&opt.attachDependencies, "attach-dependencies", false, "Show the logs of the services depended on too")
	f.BoolVar(&opt.noPrefix, "no-log-prefix", false, "Leave out the container's name in front of each line")
	f.BoolVar(&opt.noColour, "no-color", false, "Print without colours")
	f.BoolVar(&opt.timestamps, "timestamps", false, "Show the time of each line")
	f.BoolVar(&opt.menu, "menu", menuByDefault(env.getenv("COMPOSE_MENU")), "Take keys in a terminal: d detaches (COMPOSE_MENU)")
	f.BoolVarP(&opt.watch, "watch", "w", false, "Watch files as develop.watch says; with -d in the background")
	return cmd
}

func (o *upOptions) check() error {
	o.abortOnExit = o.abortOnExit || o.exitCodeFrom != ""
	aborts := o.abortOnExit || o.abortOnFailure
	o.detach = o.detach || o.wait
	switch {
	case o.abortOnExit && o.abortOnFailure:
		return errors.New("--abort-on-container-exit and --abort-on-container-failure contradict each other")
	case o.detach && (aborts || len(o.attach) > 0 || o.attachDependencies):
		return errors.New("-d and --wait show no logs: they go with none of --attach, --attach-dependencies, --abort-on-container-exit, --abort-on-container-failure, --exit-code-from")
	case o.noStart && o.watch:
		return errors.New("--no-start starts nothing that files could go into: it does not go with --watch")
	case o.noStart && (o.wait || aborts):
		return errors.New("--no-start starts nothing to wait for")
	}
	return o.selection.check()
}

func runUp(ctx context.Context, env *Env, opt *upOptions) error {
	opt.begun, opt.asks = env.now(), true
	planning, stop := env.interruptible(ctx)
	defer stop()
	project, spec, err := opt.desire(planning, env)
	if err != nil {
		return err
	}
	if s := opt.exitCodeFrom; s != "" && !has(spec, s) {
		return fmt.Errorf("--exit-code-from: no such service: %q", s)
	}
	if opt.watch {
		if err := opt.watches(env, project, spec); err != nil {
			return err
		}
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	r := runner{env, e}
	if !env.global.dryRun && !opt.detach && !opt.noStart {
		// From here on signals mean another thing; one that came before has ended us.
		stop()
		var signal interrupted
		if errors.As(context.Cause(planning), &signal) {
			return signal
		}
		a, err := newAttachment(env, opt, project, spec)
		if err != nil {
			return err
		}
		return a.follow(ctx, r)
	}
	planning, cancel := opt.bounded(planning)
	defer cancel()
	plan, err := r.bringUp(planning, spec, &opt.selection, opt.quietPull)
	if err == nil && !env.global.dryRun && plan.Empty() && env.ui.Mode == "tty" {
		r.sayRunning(planning, spec, opt.services)
	}
	return err
}

// bounded is ctx with the bound of --wait-timeout.
func (o *upOptions) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.waitTimeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, o.waitTimeout, waitedTooLong{o.waitTimeout.String()})
}
