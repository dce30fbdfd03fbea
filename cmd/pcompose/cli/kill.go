package cli

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

type killOptions struct {
	services      []string
	signal        string
	removeOrphans bool
}

func newKill(env *Env, run action[killOptions]) *cobra.Command {
	opt := &killOptions{}
	cmd := command(env, "kill [OPTIONS] [SERVICE...]", "Force stop service containers", &opt.services, bind(env, opt, run))
	cmd.Flags().StringVarP(&opt.signal, "signal", "s", "SIGKILL", "Signal to send, by name or number")
	cmd.Flags().BoolVar(&opt.removeOrphans, "remove-orphans", isTrue(env.getenv("COMPOSE_REMOVE_ORPHANS")), "Kill containers of services the file does not have too")
	return cmd
}

func runKill(ctx context.Context, env *Env, opt *killOptions) error {
	signal, err := signalName(opt.signal)
	if err != nil {
		return err
	}
	return env.simple(ctx, opt.services, func(t target, observed pod.Status) (*planner.Plan, error) {
		services := orAll(opt.services)
		if services == nil && t.spec != nil && !opt.removeOrphans {
			services = []string{}
			for _, c := range observed.Containers {
				if t.spec.Has(c.Service) {
					services = append(services, c.Service)
				}
			}
		}
		plan := planner.Kill(observed, services, signal)
		if plan.Empty() {
			env.ui.Say("no container to kill")
		}
		return plan, nil
	})
}

// signalName is a signal as SIGTERM, given as SIGTERM, term or 15. Real-time signals count from an end, as SIGRTMIN+3:
// see signal(7).
func signalName(s string) (string, error) {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n < 65 {
		if name := unix.SignalName(unix.Signal(n)); name != "" {
			return name, nil
		}
		return s, nil
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if end := regexp.MustCompile(`^SIGRT(MIN(\+([12]?\d|30))?|MAX(-([12]?\d|30))?)$`); end.MatchString(name) {
		return name, nil
	}
	if unix.SignalNum(name) == 0 {
		return "", fmt.Errorf("--signal: no signal is called %q", s)
	}
	return name, nil
}
