// Package cli is the command line: flags in, one call, one display out.
//
// Commands, flags and output are those of docker compose, so that `alias docker-compose=pcompose` mostly works.
// Each command has a file: its options, newX that reads them, runX that acts on them.
//
// Exit codes are 0 for done, 1 for a failure that standard error tells, and what docs/exit-codes.md has besides: a test holds
// its table against the code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
	"github.com/pcompose/pcompose/engine"
)

// Streams is what a command talks through.
type Streams struct {
	In, Out, Err *os.File
	// Signals brings SIGINT and SIGTERM; nil brings none. Default gives them back their default effect, so that
	// the next one ends the process whatever it hangs in.
	Signals <-chan os.Signal
	Default func()
}

// Build says what was built; empty fields are unknown.
type Build struct{ Version, Commit, Date string }

// Env is what a command knows of the world it was called in.
type Env struct {
	streams Streams
	build   Build
	// vars is the caller's environment, dir the working directory.
	vars map[string]string
	dir  string
	// resolved is vars and the project's .env files, once a project is loaded: what secrets and configs may name.
	resolved map[string]string
	// loaded is the project, once it is; nil before.
	loaded *compose.Project
	// bundle is the offline bundle that the command is about; nil for none.
	bundle *unpacked
	global global
	// args are the whole command line, for errors about it.
	args []string
	// command is the command's path, "pcompose up": others that wait for our lock see it.
	command string
	// ui is there once the global flags are read.
	ui  *ui.UI
	now func() time.Time
}

// exit ends a command with a code of its own; without err nothing is printed.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return i.signal.String() }

// Run runs a command line, the program's name first, and returns the process's exit code. It prints a failure.
func Run(ctx context.Context, argv []string, streams Streams, environ []string, build Build) int {
	env := &Env{streams: streams, build: build, vars: map[string]string{}, now: time.Now}
	for _, v := range environ {
		key, value, _ := strings.Cut(v, "=")
		env.vars[key] = value
	}
	env.ui = env.newUI()
	load.RegisterFormats()
	dir, err := os.Getwd()
	if err == nil {
		env.dir = dir
		env.streams.Signals = pluginSignals(ctx, env, streams.Signals)
		name, args := program(argv)
		env.args = args
		preset(env, args)
		root := newRoot(env)
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: name}
		root.SetArgs(args)
		root.SetOut(streams.Out)
		root.SetErr(streams.Err)
		err = root.ExecuteContext(ctx)
		// A flag in front of the command is met before there is a command to explain it.
		var unknown *pflag.NotExistError
		if errors.As(err, &unknown) {
			err = flagExplainer(env)(root, err)
		}
	}
	return env.end(err)
}

// end prints an error and turns it into an exit code.
func (env *Env) end(err error) int {
	var own exit
	var signal interrupted
	switch {
	case err == nil:
		return 0
	case errors.As(err, &signal):
		return 128 + int(signal.signal)
	case errors.As(err, &own):
		if own.err != nil {
			failure(env).Fail(own.err)
		}
		return own.code
	}
	failure(env).Fail(err)
	return 1
}

// failure is the display of errors, which stay on standard error where COMPOSE_STATUS_STDOUT moves progress away from it.
func failure(env *Env) *ui.UI {
	if !isTrue(env.getenv("COMPOSE_STATUS_STDOUT")) {
		return env.ui
	}
	u := *env.ui
	u.Err = ui.NewOutput(env.streams.Err, ui.ANSI(env.global.ansi), env.getenv)
	return &u
}

// newUI is the display the flags and the environment ask for.
func (env *Env) newUI() *ui.UI {
	ansi := ui.ANSI(env.global.ansi)
	out := ui.NewOutput(env.streams.Out, ansi, env.getenv)
	err := ui.NewOutput(env.streams.Err, ansi, env.getenv)
	if isTrue(env.getenv("COMPOSE_STATUS_STDOUT")) {
		err = out
	}
	status := err
	if isTrue(env.getenv("COMPOSE_STATUS_STDOUT")) {
		status = out
	}
	return &ui.UI{
		In: env.streams.In, Out: out, Err: err, Status: status, Mode: ui.ProgressMode(ui.Mode(env.global.progress), status),
		Now: env.now, Tick: 100 * time.Millisecond,
	}
}

func (env *Env) getenv(key string) string { return env.vars[key] }

// lookup finds a variable of the project's environment.
func (env *Env) lookup(name string) (string, bool) {
	if value, ok := env.resolved[name]; ok {
		return value, true
	}
	value, ok := env.vars[name]
	return value, ok
}

// open opens the engine the global flags ask for.
func (env *Env) open() (*engine.Engine, error) {
	if uid := os.Geteuid(); uid != 0 {
		return nil, fmt.Errorf("cannot work on pods as user %d outside of the user's namespaces", uid)
	}
	g := env.global
	return engine.Open(engine.Config{Root: g.root, RunRoot: g.runRoot, Runtime: g.runtime, NetworkCmd: g.networkCmd, Command: env.command, LookupEnv: env.lookup, Environ: func() []string { return environ(env) }, Dir: env.dir, Checkout: contexts(env)})
}

// withEngine runs do with the engine the global flags ask for.
func (env *Env) withEngine(do func(*engine.Engine) error) error {
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	return do(e)
}

// interruptible is a context that SIGINT and SIGTERM end, with interrupted as its cause; a second signal ends the
// process. stop gives the signals back to the next who wants them.
func (env *Env) interruptible(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case s := <-env.streams.Signals:
			if env.streams.Default != nil {
				env.streams.Default()
			}
			number, _ := s.(syscall.Signal)
			cancel(interrupted{number})
		case <-done:
		}
	}()
	return ctx, sync.OnceFunc(func() {
		close(done)
		<-gone
		cancel(nil)
	})
}
