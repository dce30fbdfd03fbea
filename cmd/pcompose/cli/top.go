package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/pod"
)

type topOptions struct{ services []string }

func newTop(env *Env, run action[topOptions]) *cobra.Command {
	opt := &topOptions{}
	return command(env, "top [SERVICE...]", "Display the running processes", &opt.services, bind(env, opt, run))
}

func runTop(ctx context.Context, env *Env, opt *topOptions) error {
	e, t, observed, err := env.look(ctx, opt.services)
	if err != nil {
		return err
	}
	defer e.Close()
	project := e.Project(t.name)
	var rows [][]string
	for _, c := range chosen(observed, opt.services) {
		if c.Run.State != pod.StateRunning && c.Run.State != pod.StatePaused {
			continue
		}
		processes, err := project.Top(ctx, c.Name)
		if err != nil {
			return err
		}
		for _, p := range processes {
			rows = append(rows, []string{
				c.Service, strconv.Itoa(c.Replica), p.UID, strconv.Itoa(p.PID), strconv.Itoa(p.PPID),
				strconv.Itoa(p.C), p.STime, p.TTY, p.Time, p.Cmd,
			})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return env.ui.Table(ui.Tight, []string{"SERVICE", "#", "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}, rows)
}
