package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/doctor"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/machine"
	"github.com/pcompose/pcompose/engine/userns"
)

type doctorOptions struct{ format string }

func newDoctor(env *Env, run action[doctorOptions]) *cobra.Command {
	opt := &doctorOptions{}
	cmd := command(env, "doctor [OPTIONS]", "Show what this machine lacks for pods, and what mends it", nil, bind(env, opt, run))
	cmd.Flags().StringVar(&opt.format, "format", "table", "Format: table, json")
	return cmd
}

func runDoctor(ctx context.Context, env *Env, opt *doctorOptions) error {
	if err := oneOf("--format", opt.format, "table", "json"); err != nil {
		return err
	}
	m, err := thisMachine(ctx, env)
	if err != nil {
		return err
	}
	report := doctor.Examine(m)
	if opt.format == "json" {
		err = env.ui.JSON(report)
	} else {
		err = printReport(env.ui, report)
	}
	if err == nil && report.Missing > 0 {
		err = fmt.Errorf("no pod comes up on this machine: %d missing of what it needs", report.Missing)
	}
	return err
}

// thisMachine looks at this machine, with the eyes of the user and the global flags.
func thisMachine(ctx context.Context, env *Env) (doctor.Machine, error) {
	g := env.global
	e, err := engine.Open(engine.Config{Root: g.root, RunRoot: g.runRoot, Runtime: g.runtime, Command: env.command, LookupEnv: env.lookup})
	if err != nil {
		return doctor.Machine{}, err
	}
	defer e.Close()
	has, err := engine.Equip(e)
	if err != nil {
		return doctor.Machine{}, err
	}
	program, err := os.Executable()
	if err != nil {
		return doctor.Machine{}, fmt.Errorf("cannot find this program: %w", err)
	}
	built, _ := time.Parse(time.RFC3339, env.build.Date) // not known of a build without a commit
	runtime := doctor.Runtime{Kind: has.RuntimeKind, Path: has.Runtime, Version: has.RuntimeVersion, BuiltinSeccomp: has.BuiltInSeccomp}
	if has.RuntimeErr != nil {
		runtime.Error = has.RuntimeErr.Error()
	}
	return machine.Look(ctx, machine.Config{
		Tree: machine.Tree{FS: os.DirFS("/")}, Kernel: machine.Here(program), Getenv: env.getenv, User: machine.CurrentUser(userns.UID()),
		Program: program, Built: built, Root: has.Root, RunRoot: has.RunRoot, Setup: image.ReadSetup(), Runtime: runtime, Init: has.Init, Delegated: has.Controllers,
	}), nil
}

// printReport prints a line for what is in order, and for what is not also why that matters and what mends it.
func printReport(u *ui.UI, report doctor.Report) error {
	var rows [][]string
	for _, f := range report.Checks {
		rows = append(rows, []string{string(f.Status), f.Check, f.Found})
		if f.Status == doctor.OK {
			continue
		}
		rows = append(rows, []string{"", "", f.Why})
		for _, line := range f.Fix {
			rows = append(rows, []string{"", "", "fix: " + line})
		}
	}
	if err := u.Table(ui.Compact, []string{"STATUS", "WHAT", "FOUND"}, rows); err != nil {
		return err
	}
	u.Line("\n%d ok, %d warnings, %d missing", report.OK, report.Warnings, report.Missing)
	return nil
}
