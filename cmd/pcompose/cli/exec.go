package cli

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pcompose/pcompose/engine"
)

type execOptions struct {
	args                      []string
	detach, noTTY, privileged bool
	interactive, tty          bool
	env                       []string
	user, workdir             string
	index                     int
}

func newExec(env *Env, run action[execOptions]) *cobra.Command {
	opt := &execOptions{}
	cmd := command(env, "exec [OPTIONS] SERVICE COMMAND [ARGS...]", "Execute a command in a running container", &opt.args, bind(env, opt, run))
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.BoolVarP(&opt.detach, "detach", "d", false, "Run the command in the background")
	f.StringArrayVarP(&opt.env, "env", "e", nil, "Set an environment variable, NAME=VALUE, or NAME for the caller's")
	f.IntVar(&opt.index, "index", 0, "Number of the container if the service has several")
	f.BoolVar(&opt.privileged, "privileged", false, "Give the process all capabilities")
	f.StringVarP(&opt.user, "user", "u", "", "Run as this user")
	f.BoolVarP(&opt.noTTY, "no-tty", "T", false, "Do not make a terminal (default: one, where standard input and output are terminals)")
	f.StringVarP(&opt.workdir, "workdir", "w", "", "Working directory of the command")
	f.BoolVarP(&opt.interactive, "interactive", "i", true, "Keep standard input open")
	f.BoolVarP(&opt.tty, "tty", "t", true, "Make a terminal")
	// docker compose has --no-TTY in some versions.
	f.SetNormalizeFunc(lowerNames)
	return cmd
}

func runExec(ctx context.Context, env *Env, opt *execOptions) error {
	if len(opt.args) < 2 {
		return errors.New("exec needs a service and a command: see `pcompose exec --help`")
	}
	service := opt.args[0]
	e, t, observed, err := env.look(ctx, []string{service})
	if err != nil {
		return err
	}
	defer e.Close()
	c, err := running(observed, service, opt.index)
	if err != nil {
		return err
	}
	if env.global.dryRun {
		return env.would([]intent{{"container/" + c.Name, "exec " + strings.Join(opt.args[1:], " "), "asked to execute"}})
	}
	streams := env.streams
	exec := engine.ExecOptions{
		Argv: opt.args[1:], Env: env.pairs(opt.env), User: opt.user, WorkingDir: opt.workdir,
		Detach: opt.detach, Privileged: opt.privileged, Stdin: streams.In, Stdout: streams.Out, Stderr: streams.Err,
		TTY: opt.tty && !opt.noTTY && !opt.detach && isTerminal(streams.In) && isTerminal(streams.Out),
	}
	if !opt.interactive || opt.detach {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		defer null.Close()
		exec.Stdin = null
	}
	code, err := e.Project(t.name).Exec(ctx, c.Name, exec)
	if code != 0 {
		return exit{code, err} // a command that cannot be run has a code too: 126, 127
	}
	return err
}

func isTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// pairs are NAME=VALUE as a map; a NAME alone takes the caller's value, where there is one.
func (env *Env) pairs(list []string) map[string]string {
	m := map[string]string{}
	for _, pair := range list {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			if value, ok = env.vars[name]; !ok {
				continue
			}
		}
		m[name] = value
	}
	return m
}
