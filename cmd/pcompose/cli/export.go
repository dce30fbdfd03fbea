package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
)

type exportOptions struct {
	args   []string
	output string
	index  int
}

func newExport(env *Env, run action[exportOptions]) *cobra.Command {
	opt := &exportOptions{}
	cmd := command(env, "export [OPTIONS] SERVICE", "Export a service container's filesystem as a tar archive", &opt.args, bind(env, opt, run))
	cmd.Flags().IntVar(&opt.index, "index", 0, "Number of the container if the service has several")
	cmd.Flags().StringVarP(&opt.output, "output", "o", "", "Write to a file, instead of standard output")
	cmd.Args = takes("a service")
	return cmd
}

func runExport(ctx context.Context, env *Env, opt *exportOptions) error {
	if opt.output == "" && isTerminal(env.streams.Out) {
		return errors.New("cannot write a tar archive to a terminal: name a file with -o, or redirect standard output")
	}
	e, t, observed, err := env.look(ctx, opt.args)
	if err != nil {
		return err
	}
	defer e.Close()
	c, err := find(observed, opt.args[0], opt.index)
	if err != nil {
		return err
	}
	if env.global.dryRun {
		env.ui.Line("export %s", c.Name)
		return nil
	}
	export := func(w io.Writer) error {
		if err := engine.FilesOf(e.Project(t.name)).Export(ctx, c.Name, w); err != nil {
			return fmt.Errorf("cannot export container %q: %w", c.Name, err)
		}
		return nil
	}
	if opt.output == "" {
		return export(env.streams.Out)
	}
	return writeFile(opt.output, export)
}
