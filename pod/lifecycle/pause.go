package lifecycle

import (
	"time"

	"github.com/pcompose/pcompose/pod"
)

// pause freezes what runs. Its health checks rest meanwhile: their processes would be frozen with it.
func pause(s State, e Pause) (State, []Effect) {
	s.Held = s.Held && e.Held
	if s.Run.State != pod.StateRunning || s.Stopping || s.Pausing {
		return s, nil
	}
	s.Pausing, s.Held = true, e.Held
	return s, []Effect{Disarm{TimerProbe}, Freeze{}}
}

// release ends a pause that was held, also one that has not begun yet.
func release(s State) (State, []Effect) {
	if !s.Held {
		return s, nil
	}
	s.Held = false
	if s.Pausing {
		s.Resuming = true // seen when it is frozen
		return s, nil
	}
	if s.Resuming {
		return s, nil
	}
	return thaw(s, nil)
}

// thaw adds a Thaw to the effects where the processes are frozen: a frozen process meets its signals when it goes on
// (freezer of cgroup v1, cgroups(7)). One that is being frozen is thawed when it is, see frozen.
func thaw(s State, effects []Effect) (State, []Effect) {
	if s.Run.State != pod.StatePaused {
		return s, effects
	}
	s.Resuming = true
	return s, append(effects, Thaw{})
}

func frozen(c pod.Container, s State, e Frozen) (State, []Effect) {
	if !s.Pausing {
		return s, nil
	}
	s.Pausing = false
	if e.Err != "" {
		s.Resuming, s.Held = false, false
		return s, probeAgain(c, s, e.At)
	}
	s.Run.State = pod.StatePaused
	if s.Stopping || s.Run.Stopped || s.Resuming { // asked to end, killed or released while it froze
		return thaw(s, nil)
	}
	return s, nil
}

func thawed(c pod.Container, s State, e Thawed) (State, []Effect) {
	if !s.Resuming {
		return s, nil
	}
	s.Resuming = false
	if e.Err != "" {
		return s, nil
	}
	s.Run.State, s.Held = pod.StateRunning, false
	return s, probeAgain(c, s, e.At)
}

// probeAgain goes on with the health checks after a rest.
func probeAgain(c pod.Container, s State, now time.Time) []Effect {
	if !Checked(c) || s.Stopping {
		return nil
	}
	return []Effect{Arm{TimerProbe, interval(c.Health, s.Run, now)}}
}
