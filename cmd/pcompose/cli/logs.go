package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

type logsOptions struct {
	services                       []string
	follow                         bool
	tail                           int
	since, until                   time.Time
	timestamps, noPrefix, noColour bool
	index                          int
}

func newLogs(env *Env, run action[logsOptions]) *cobra.Command {
	opt := &logsOptions{tail: -1}
	cmd := command(env, "logs [OPTIONS] [SERVICE...]", "View output from containers", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVarP(&opt.follow, "follow", "f", false, "Follow log output")
	f.VarP((*tail)(&opt.tail), "tail", "n", "Lines to show from the end of each container's log, or all")
	f.Var(&moment{&opt.since, env.now}, "since", "Show lines since a time (2026-01-02T13:23:37Z) or for a duration (42m)")
	f.Var(&moment{&opt.until, env.now}, "until", "Show lines before a time or older than a duration")
	f.BoolVarP(&opt.timestamps, "timestamps", "t", false, "Show the time of each line")
	f.BoolVar(&opt.noPrefix, "no-log-prefix", false, "Leave out the container's name in front of each line")
	f.BoolVar(&opt.noColour, "no-color", false, "Print without colours")
	f.IntVar(&opt.index, "index", 0, "Number of the container if a service has several")
	return cmd
}

// tail is a number of lines, -1 for all.
type tail int

var _ pflag.Value = (*tail)(nil)

// Set reads a number, or all.
func (t *tail) Set(value string) error {
	n, err := strconv.Atoi(value)
	switch {
	case value == "all" || err == nil && n < 0:
		n = -1
	case err != nil:
		return fmt.Errorf("%q is not a number of lines", value)
	}
	*t = tail(n)
	return nil
}

// String is the value as it would be given.
func (t *tail) String() string {
	if *t < 0 {
		return "all"
	}
	return strconv.Itoa(int(*t))
}

// Type is what help calls the value.
func (t *tail) Type() string { return "lines" }

// watchLog stands for the program that watches files in the background, which writes a log too.
func watchLog() pod.ContainerStatus {
	return pod.ContainerStatus{Container: pod.Container{Name: pod.WatchLog, Service: pod.WatchLog}, Run: pod.Run{State: pod.StateRunning}}
}

func runLogs(ctx context.Context, env *Env, opt *logsOptions) error {
	e, t, observed, err := env.look(ctx, opt.services)
	if err != nil {
		return err
	}
	defer e.Close()
	containers := chosen(observed, opt.services)
	if len(opt.services) == 0 && engine.HasWatchLog(e.Project(t.name)) {
		containers = append(containers, watchLog())
	}
	if opt.index > 0 {
		if len(opt.services) != 1 {
			return fmt.Errorf("--index needs one service")
		}
		c, err := find(observed, opt.services[0], opt.index)
		if err != nil {
			return err
		}
		containers = []pod.ContainerStatus{c}
	}
	read := logs.ReadOptions{Tail: opt.tail, Since: opt.since, Until: opt.until}
	show := env.ui.Log(logDisplay(t.name, containers, opt.noPrefix, opt.noColour, opt.timestamps))
	project := e.Project(t.name)
	if !opt.follow || !observed.Up {
		return reader{project, t.name, read, show}.print(ctx, containers)
	}
	read.Follow = true
	f := &follower{
		reader: reader{project, t.name, read, show}, now: env.now,
		prints: func(c pod.ContainerStatus) bool {
			if opt.index > 0 && c.Replica != opt.index {
				return false
			}
			if c.Name == pod.WatchLog {
				return len(opt.services) == 0
			}
			return len(chosen(pod.Status{Containers: []pod.ContainerStatus{c}}, opt.services)) > 0
		},
	}
	return f.run(ctx, containers)
}
