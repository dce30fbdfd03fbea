package cli

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

type versionOptions struct {
	short  bool
	format string
}

func newVersion(env *Env, run action[versionOptions]) *cobra.Command {
	opt := &versionOptions{}
	cmd := command(env, "version [OPTIONS]", "Show the pcompose version information", nil, bind(env, opt, run))
	cmd.Flags().BoolVar(&opt.short, "short", false, "Show the version number only")
	cmd.Flags().StringVarP(&opt.format, "format", "f", "pretty", "Format: pretty, json")
	return cmd
}

func runVersion(_ context.Context, env *Env, opt *versionOptions) error {
	if err := oneOf("--format", opt.format, "pretty", "json"); err != nil {
		return err
	}
	v := env.build
	v.Version = v.version()
	switch {
	case opt.short:
		env.ui.Line("%s", strings.TrimPrefix(v.Version, "v"))
	case opt.format == "json":
		return env.ui.JSONLine(map[string]string{"version": v.Version, "commit": v.Commit, "date": v.Date})
	default:
		env.ui.Line("pcompose version %s%s", v.Version, v.source())
	}
	return nil
}

// source is which commit was built, and its date; "" where that is not known.
func (b Build) source() string {
	if b.Commit == "" {
		return ""
	}
	return fmt.Sprintf(" (commit %.12s of %s)", b.Commit, b.Date)
}

// version is what was built: as the Makefile says, else as the go command knows it, of a build by `go install`.
func (b Build) version() string {
	if b.Version != "" {
		return b.Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
