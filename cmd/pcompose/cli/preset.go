package cli

import (
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pcompose/pcompose/compose/load"
)

// preset completes the environment before the flags take their defaults from it: COMPOSE_ variables of the project's .env
// count as if they were set, as docker compose has it, and podman-compose's name for the project directory is known.
func preset(env *Env, args []string) {
	if _, ok := env.vars["PWD"]; !ok {
		env.vars["PWD"] = env.dir
	}
	var g global
	peek := pflag.NewFlagSet("", pflag.ContinueOnError)
	peek.SetOutput(io.Discard)
	peek.SetInterspersed(false)
	peek.Usage = func() {}
	g.bind(peek, env)
	// What cannot be parsed is said by the parse that counts.
	_ = peek.Parse(args)
	for name, value := range load.DotEnv(load.Options{Files: g.files, Dir: g.dir, EnvFiles: g.envFiles, Environment: env.vars, Cwd: env.dir, Remotes: remotes(env)}) {
		if _, set := env.vars[name]; !set && strings.HasPrefix(name, "COMPOSE_") {
			env.vars[name] = value
		}
	}
}
