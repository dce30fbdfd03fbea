package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// Defaults of a health check (Compose specification, as docker has them).
const (
	defaultInterval      = 30 * time.Second
	defaultTimeout       = 30 * time.Second
	defaultStartInterval = 5 * time.Second
	defaultRetries       = 3
	keptProbes           = 5
)

// Checked says whether a container has a health check.
func Checked(c pod.Container) bool {
	return c.Health != nil && len(c.Health.Test) > 0 && c.Health.Test[0] != "NONE"
}

// Timeout is the time one probe may take.
func Timeout(h *pod.Health) time.Duration {
	if h.Timeout > 0 {
		return h.Timeout
	}
	return defaultTimeout
}

// interval is the wait until the next probe. While a container with a start period has not been healthy yet,
// probes come as often as start_interval says.
func interval(h *pod.Health, run pod.Run, now time.Time) time.Duration {
	regular := defaultInterval
	if h.Interval > 0 {
		regular = h.Interval
	}
	if run.Health != pod.HealthStarting || now.Sub(run.StartedAt) >= h.StartPeriod {
		return regular
	}
	if h.StartInterval > 0 {
		return h.StartInterval
	}
	return min(regular, defaultStartInterval)
}

func probed(c pod.Container, s State, p pod.Probe) (State, []Effect) {
	if s.Run.State != pod.StateRunning || s.Stopping || s.Pausing || !Checked(c) {
		return s, nil
	}
	s.Run.Probes = append(slices.Clone(s.Run.Probes), p)
	if extra := len(s.Run.Probes) - keptProbes; extra > 0 {
		s.Run.Probes = s.Run.Probes[extra:]
	}
	end := p.At.Add(p.Took)
	switch {
	case p.ExitCode == 0:
		s.Run.Health, s.Run.FailingStreak = pod.HealthHealthy, 0
	case s.Run.Health == pod.HealthStarting && end.Sub(s.Run.StartedAt) < c.Health.StartPeriod:
		// Failures in the start period do not count.
	default:
		s.Run.FailingStreak++
		if s.Run.FailingStreak >= retries(c.Health) {
			s.Run.Health = pod.HealthUnhealthy
		}
	}
	return s, []Effect{Arm{TimerProbe, interval(c.Health, s.Run, end)}}
}

func retries(h *pod.Health) int {
	if h.Retries > 0 {
		return h.Retries
	}
	return defaultRetries
}

// Reached says whether a container has come as far as until. Err says why it never will, unless something
// else starts it again.
func Reached(c pod.Container, s State, until pod.Until) (reached bool, err error) {
	run := s.Run
	if s.Launching || run.State == pod.StateRestarting {
		return false, nil
	}
	if run.Error != "" {
		return false, fmt.Errorf("container %q did not start: %s", c.Name, run.Error)
	}
	switch {
	case until == pod.UntilStarted:
		return run.State.Alive() || run.State == pod.StateExited, nil
	case run.State == pod.StateExited && run.ExitCode == 0 && until != pod.UntilHealthy:
		return true, nil
	case run.State == pod.StateExited:
		return false, fmt.Errorf("container %q %s", c.Name, Ended(run))
	case until == pod.UntilCompleted:
		return false, nil
	case run.Health == pod.HealthUnhealthy:
		return false, fmt.Errorf("container %q is unhealthy%s", c.Name, lastProbe(run))
	case !Checked(c) && until == pod.UntilHealthy:
		return false, fmt.Errorf("container %q has no health check: give its service a healthcheck, or wait for service_started", c.Name)
	}
	return run.State == pod.StateRunning && (run.Health == pod.HealthHealthy || !Checked(c)), nil
}

// Ended says in words how a container's process ended.
func Ended(run pod.Run) string {
	switch {
	case run.ExitCode == pod.UnknownExit:
		return "has ended while nothing watched it: its exit code is unknown"
	case run.OOMKilled:
		return fmt.Sprintf("was killed for want of memory (exit code %d)", run.ExitCode)
	}
	return fmt.Sprintf("exited with %d", run.ExitCode)
}

func lastProbe(run pod.Run) string {
	if len(run.Probes) == 0 {
		return ""
	}
	p := run.Probes[len(run.Probes)-1]
	words := fmt.Sprintf(": its last check exited with %d", p.ExitCode)
	if out := strings.TrimSpace(p.Output); out != "" {
		words += ": " + out
	}
	return words
}
