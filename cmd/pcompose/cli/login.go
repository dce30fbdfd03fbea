package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine/image"
)

type loginOptions struct {
	args                 []string
	user, password, file string
	fromStdin, verified  bool
}

// authFileUsage explains --authfile of both.
const authFileUsage = "File of the logins (default: REGISTRY_AUTH_FILE, else that of containers-auth.json(5))"

func newLogin(env *Env, run action[loginOptions]) *cobra.Command {
	opt := &loginOptions{}
	cmd := command(env, "login [OPTIONS] [REGISTRY]", "Log in to a registry", &opt.args, bind(env, opt, run))
	f := cmd.Flags()
	f.StringVarP(&opt.user, "username", "u", "", "Name of the user")
	f.StringVarP(&opt.password, "password", "p", "", "Password; --password-stdin keeps it out of the list of processes")
	f.BoolVar(&opt.fromStdin, "password-stdin", false, "Read the password from standard input")
	f.StringVar(&opt.file, "authfile", "", authFileUsage)
	f.BoolVar(&opt.verified, "tls-verify", true, "Ask the registry for TLS and a certificate")
	cmd.Args = cobra.MaximumNArgs(1)
	return cmd
}

func runLogin(ctx context.Context, env *Env, opt *loginOptions) error {
	switch {
	case opt.fromStdin && opt.password != "":
		return errors.New("--password and --password-stdin exclude each other")
	case opt.fromStdin && opt.user == "":
		return errors.New("--password-stdin needs --username")
	case opt.fromStdin:
		text, err := io.ReadAll(env.streams.In)
		if err != nil {
			return fmt.Errorf("cannot read the password: %w", err)
		}
		opt.password = strings.TrimRight(string(text), "\r\n")
	case opt.password == "" && !isTerminal(env.streams.In):
		return errors.New("cannot ask for a password: standard input is no terminal: give it by --password-stdin")
	}
	if env.global.dryRun {
		return env.would([]intent{{"registry/" + registryOf(opt.args), "log in", "asked to log in"}})
	}
	return image.Login(ctx, registryOf(opt.args), image.LoginOptions{User: opt.user, Password: opt.password, File: opt.file, Insecure: !opt.verified, In: env.streams.In, Out: env.streams.Out})
}

type logoutOptions struct {
	args []string
	file string
	all  bool
}

func newLogout(env *Env, run action[logoutOptions]) *cobra.Command {
	opt := &logoutOptions{}
	cmd := command(env, "logout [OPTIONS] [REGISTRY]", "Log out of a registry", &opt.args, bind(env, opt, run))
	cmd.Flags().BoolVarP(&opt.all, "all", "a", false, "Forget all logins")
	cmd.Flags().StringVar(&opt.file, "authfile", "", authFileUsage)
	cmd.Args = cobra.MaximumNArgs(1)
	return cmd
}

func runLogout(_ context.Context, env *Env, opt *logoutOptions) error {
	if env.global.dryRun {
		return env.would([]intent{{"registry/" + registryOf(opt.args), "log out", "asked to log out"}})
	}
	return image.Logout(registryOf(opt.args), opt.file, opt.all, env.streams.Out)
}

// registryOf is the registry that was named, "" for none.
func registryOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
