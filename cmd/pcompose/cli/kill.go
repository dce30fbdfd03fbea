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
	services []string
	signal   string
}

func newKill(env *Env, run action[killOptions]) *cobra.Command {
	opt := &killOptions{}
	cmd := command(env, "kill [OPTIONS] [SERVICE...]", "Force stop service containers", &opt.services, bind(env, opt, run))
	cmd.Flags().StringVarP(&opt.signal, "signal", "s", "SIGKILL", "Signal to send, by name or number")
	return cmd
}

func runKill(ctx context.Context, env *Env, opt *killOptions) error {
	signal, err := signalName(opt.signal)
	if err != nil {
		return err
	}
	return env.simple(ctx, opt.services, func(_ target, observed pod.Status) (*planner.Plan, error) {
		return planner.Kill(observed, orAll(opt.services), signal), nil
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
