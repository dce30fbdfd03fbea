package lifecycle_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/lifecycle"
)

const s = time.Second

// at is a time on the tests' clock.
func at(d time.Duration) time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d) }

func restart(policy pod.RestartPolicy, retries int) pod.Container {
	return pod.Container{Name: "shop-web-1", Restart: pod.Restart{Policy: policy, MaxRetries: retries}}
}

// show is what a test compares: the state in few words, and the effects.
func show(st lifecycle.State, effects []lifecycle.Effect) string {
	words := []string{string(st.Run.State)}
	add := func(b bool, word string) {
		if b {
			words = append(words, word)
		}
	}
	add(st.Launching, "launching")
	add(st.Stopping, "stopping")
	add(st.Pausing, "pausing")
	add(st.Resuming, "resuming")
	add(st.Held, "held")
	add(st.Run.Stopped, "stopped")
	add(st.Run.PID != 0, fmt.Sprintf("pid=%d", st.Run.PID))
	add(st.Run.ExitCode != 0, fmt.Sprintf("code=%d", st.Run.ExitCode))
	add(st.Run.OOMKilled, "oom")
	add(st.Run.Restarts != 0, fmt.Sprintf("restarts=%d", st.Run.Restarts))
	add(st.Failed > 0 && st.Failed != st.Run.Restarts, fmt.Sprintf("failed=%d", st.Failed))
	add(st.Run.Health != "", string(st.Run.Health))
	add(st.Run.FailingStreak != 0, fmt.Sprintf("streak=%d", st.Run.FailingStreak))
	add(st.Run.Error != "", fmt.Sprintf("error=%q", st.Run.Error))
	words = append(words, "=>")
	for _, e := range effects {
		switch e := e.(type) {
		case lifecycle.Launch:
			words = append(words, "launch")
		case lifecycle.Signal:
			words = append(words, "signal:"+e.Name)
		case lifecycle.Arm:
			words = append(words, fmt.Sprintf("arm:%s:%s", e.Timer, e.In))
		case lifecycle.Disarm:
			words = append(words, "disarm:"+string(e.Timer))
		case lifecycle.RunProbe:
			words = append(words, "probe")
		case lifecycle.Freeze:
			words = append(words, "freeze")
		case lifecycle.Thaw:
			words = append(words, "thaw")
		}
	}
	return strings.Join(words, " ")
}

// happening is an event, and what is to come of it.
type happening struct {
	event lifecycle.Event
	want  string
}

func start(d time.Duration) lifecycle.Event { return lifecycle.Start{At: at(d)} }
func started(d time.Duration) lifecycle.Event {
	return lifecycle.Started{At: at(d), PID: 7}
}
func exited(d time.Duration, code int) lifecycle.Event {
	return lifecycle.Exited{At: at(d), Code: code}
}
func due(d time.Duration, t lifecycle.Timer) lifecycle.Event {
	return lifecycle.Due{At: at(d), Timer: t}
}
func failed(why string) lifecycle.Event { return lifecycle.StartFailed{At: at(0), Err: why} }

func TestNext(t *testing.T) {
	always := restart(pod.RestartAlways, 0)
	tests := map[string]struct {
		container pod.Container
		events    []happening
	}{
		"a life": {pod.Container{}, []happening{
			{start(0), "created launching => disarm:restart launch"},
			{start(0), "created launching =>"},
			{started(0), "running pid=7 =>"},
			{start(1 * s), "running pid=7 =>"},
			{exited(2*s, 3), "exited code=3 => disarm:kill disarm:probe"},
			{start(3 * s), "exited launching code=3 => disarm:restart launch"},
			{started(3 * s), "running pid=7 =>"},
			{lifecycle.Exited{At: at(4 * s), Code: 137, OOMKilled: true}, "exited code=137 oom => disarm:kill disarm:probe"},
		}},
		"nothing follows what makes no sense": {always, []happening{
			{exited(0, 1), "created =>"},
			{started(0), "created =>"},
			{failed("no"), "created =>"},
			{due(0, lifecycle.TimerRestart), "created =>"},
			{due(0, lifecycle.TimerKill), "created =>"},
			{due(0, lifecycle.TimerProbe), "created =>"},
			{lifecycle.Probed{}, "created =>"},
			{lifecycle.Stop{}, "created stopped =>"},
		}},
		"restarted always, each wait twice the last": {always, []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{exited(0, 0), "restarting => disarm:kill disarm:probe arm:restart:100ms"},
			{due(0, lifecycle.TimerRestart), "restarting launching restarts=1 => launch"},
			{due(0, lifecycle.TimerRestart), "restarting launching restarts=1 =>"},
			{started(0), "running pid=7 restarts=1 =>"},
			{exited(1*s, 9), "restarting code=9 restarts=1 => disarm:kill disarm:probe arm:restart:200ms"},
			{due(0, lifecycle.TimerRestart), "restarting launching code=9 restarts=2 failed=1 => launch"},
			{started(2 * s), "running pid=7 restarts=2 failed=1 =>"},
			{exited(12*s, 1), "restarting code=1 restarts=2 => disarm:kill disarm:probe arm:restart:100ms"}, // a good life
			{start(13 * s), "restarting launching code=1 => disarm:restart launch"},                         // a user does not wait
			{due(0, lifecycle.TimerRestart), "restarting launching code=1 =>"},                              // too late to be disarmed
		}},
		"on failure": {restart(pod.RestartOnFailure, 1), []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{exited(0, 1), "restarting code=1 => disarm:kill disarm:probe arm:restart:100ms"},
			{due(0, lifecycle.TimerRestart), "restarting launching code=1 restarts=1 => launch"},
			{started(0), "running pid=7 restarts=1 =>"},
			{exited(0, 2), "exited code=2 restarts=1 => disarm:kill disarm:probe"}, // that was the one
			{start(0), "exited launching code=2 => disarm:restart launch"},         // and counts anew
			{started(0), "running pid=7 =>"},
			{exited(0, 0), "exited => disarm:kill disarm:probe"},
		}},
		"a bound counts for always too": {restart(pod.RestartAlways, 1), []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{exited(0, 0), "restarting => disarm:kill disarm:probe arm:restart:100ms"},
			{due(0, lifecycle.TimerRestart), "restarting launching restarts=1 => launch"},
			{started(0), "running pid=7 restarts=1 =>"},
			{exited(0, 0), "exited restarts=1 => disarm:kill disarm:probe"},
		}},
		"a delay is the wait each time, and a life as long as the window is no failure": {pod.Container{
			Restart: pod.Restart{Policy: pod.RestartOnFailure, MaxRetries: 2, Delay: 3 * s, Window: 5 * s},
		}, []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{exited(0, 1), "restarting code=1 => disarm:kill disarm:probe arm:restart:3s"}, // the first start is no restart
			{due(3*s, lifecycle.TimerRestart), "restarting launching code=1 restarts=1 => launch"},
			{started(3 * s), "running pid=7 restarts=1 =>"},
			{exited(4*s, 1), "restarting code=1 restarts=1 => disarm:kill disarm:probe arm:restart:3s"},
			{due(7*s, lifecycle.TimerRestart), "restarting launching code=1 restarts=2 failed=1 => launch"},
			{started(7 * s), "running pid=7 restarts=2 failed=1 =>"},
			{exited(12*s, 1), "restarting code=1 restarts=2 failed=1 => disarm:kill disarm:probe arm:restart:3s"}, // lived for 5s
			{due(15*s, lifecycle.TimerRestart), "restarting launching code=1 restarts=3 failed=1 => launch"},
			{started(15 * s), "running pid=7 restarts=3 failed=1 =>"},
			{exited(16*s, 1), "exited code=1 restarts=3 failed=2 => disarm:kill disarm:probe"},
			{start(20 * s), "exited launching code=1 => disarm:restart launch"},
		}},
		"an unknown exit is a failure": {restart(pod.RestartOnFailure, 0), []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{exited(0, pod.UnknownExit), "restarting code=-1 => disarm:kill disarm:probe arm:restart:100ms"},
		}},
		"unless stopped": {restart(pod.RestartUnlessStopped, 0), []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{exited(0, 0), "restarting => disarm:kill disarm:probe arm:restart:100ms"},
			{due(0, lifecycle.TimerRestart), "restarting launching restarts=1 => launch"},
			{started(0), "running pid=7 restarts=1 =>"},
			{lifecycle.Stop{Grace: s}, "running stopping stopped pid=7 restarts=1 => disarm:probe signal: arm:kill:1s"},
			{exited(0, 143), "exited stopped code=143 restarts=1 => disarm:kill disarm:probe"},
			{due(0, lifecycle.TimerRestart), "exited stopped code=143 restarts=1 =>"},
			{start(0), "exited launching code=143 => disarm:restart launch"},
		}},
		"killed after its grace": {always, []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{lifecycle.Stop{Grace: 3 * s}, "running stopping stopped pid=7 => disarm:probe signal: arm:kill:3s"},
			{lifecycle.Stop{Grace: 1 * s}, "running stopping stopped pid=7 => disarm:probe signal: arm:kill:1s"}, // in more of a hurry
			{due(0, lifecycle.TimerKill), "running stopping stopped pid=7 => signal:SIGKILL"},
			{start(0), "running stopping stopped pid=7 =>"},
			{exited(0, 137), "exited stopped code=137 => disarm:kill disarm:probe"},
			{due(0, lifecycle.TimerKill), "exited stopped code=137 =>"},
		}},
		"killed at once": {always, []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{lifecycle.Stop{}, "running stopping stopped pid=7 => disarm:probe signal:SIGKILL"},
		}},
		"stopped while it starts": {always, []happening{
			{start(0), "created launching => disarm:restart launch"},
			{lifecycle.Stop{Grace: s}, "created launching stopping stopped =>"},
			{started(0), "running stopping stopped pid=7 => signal:SIGKILL"},
			{exited(0, 137), "exited stopped code=137 => disarm:kill disarm:probe"},
		}},
		"stopped while it waits for its restart": {always, []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{exited(0, 1), "restarting code=1 => disarm:kill disarm:probe arm:restart:100ms"},
			{lifecycle.Stop{Grace: s}, "exited stopped code=1 => disarm:restart"},
			{due(0, lifecycle.TimerRestart), "exited stopped code=1 =>"},
		}},
		"stopped after its end": {restart(pod.RestartUnlessStopped, 0), []happening{
			{start(0), "created launching => disarm:restart launch"},
			{failed("no such program"), `created code=128 error="no such program" =>`},
			{lifecycle.Stop{}, `created stopped code=128 error="no such program" =>`},
		}},
		"a start that fails is not tried again": {always, []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{exited(0, 1), "restarting code=1 => disarm:kill disarm:probe arm:restart:100ms"},
			{due(0, lifecycle.TimerRestart), "restarting launching code=1 restarts=1 => launch"},
			{failed("no such program"), `exited code=128 restarts=1 error="no such program" =>`},
			{start(0), "exited launching code=128 => disarm:restart launch"},
			{lifecycle.Stop{}, "exited launching stopping stopped code=128 =>"},
			{failed("again"), `exited stopped code=128 error="again" =>`},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { happens(t, test.container, test.events) })
	}
}

// happens takes a container that was never started through events.
func happens(t *testing.T, c pod.Container, events []happening) {
	t.Helper()
	st := lifecycle.State{Run: pod.Run{State: pod.StateCreated}}
	for i, h := range events {
		next, effects := lifecycle.Next(c, st, h.event)
		if got := show(next, effects); got != h.want {
			t.Fatalf("event %d, %T%+v:\n%s, want\n%s", i+1, h.event, h.event, got, h.want)
		}
		st = next
	}
}

// TestTimes: when a container began and ended is what was reported.
func TestTimes(t *testing.T) {
	st := lifecycle.State{Run: pod.Run{State: pod.StateCreated}}
	for _, e := range []lifecycle.Event{start(0), started(1 * s), exited(2*s, 0), start(3 * s), started(4 * s)} {
		st, _ = lifecycle.Next(pod.Container{}, st, e)
		if _, ended := e.(lifecycle.Exited); ended && (!st.Run.StartedAt.Equal(at(1*s)) || !st.Run.FinishedAt.Equal(at(2*s))) {
			t.Errorf("%+v", st.Run)
		}
	}
	if !st.Run.StartedAt.Equal(at(4*s)) || !st.Run.FinishedAt.IsZero() {
		t.Errorf("%+v", st.Run)
	}
}

// TestCrashLoop: at most ten starts in the first thirty seconds, then one a minute.
func TestCrashLoop(t *testing.T) {
	c := restart(pod.RestartAlways, 0)
	st, _ := lifecycle.Next(c, lifecycle.State{Run: pod.Run{State: pod.StateCreated}}, start(0))
	var now, wait time.Duration
	starts := 0
	for range 40 {
		if now < 30*s {
			starts++
		}
		st, _ = lifecycle.Next(c, st, started(now))
		var effects []lifecycle.Effect
		st, effects = lifecycle.Next(c, st, exited(now, 1))
		wait = effects[len(effects)-1].(lifecycle.Arm).In
		now += wait
		st, _ = lifecycle.Next(c, st, due(now, lifecycle.TimerRestart))
	}
	if starts > 10 || starts < 5 || wait != time.Minute {
		t.Errorf("%d starts in thirty seconds, in the end one after %s", starts, wait)
	}
}

// TestRandomEvents: in whatever order things happen, nothing panics, a timer that runs is that of a state that wants it,
// and a container that was stopped is not launched until a user starts it.
func TestRandomEvents(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		c := restart([]pod.RestartPolicy{"", pod.RestartAlways, pod.RestartOnFailure, pod.RestartUnlessStopped}[rnd.IntN(4)], rnd.IntN(3))
		if rnd.IntN(2) == 0 {
			c.Health = &pod.Health{Test: []string{"CMD", "true"}, StartPeriod: time.Duration(rnd.IntN(20)) * s, Retries: rnd.IntN(3)}
		}
		w := &world{t: t, rnd: rnd, c: c, armed: map[lifecycle.Timer]bool{}, st: lifecycle.State{Run: pod.Run{State: pod.StateCreated}}}
		for range 60 {
			w.step()
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, strings.Join(w.log, "\n"))
		}
	}
}

// world does what the supervisor does, with a clock of its own.
type world struct {
	t   *testing.T
	rnd *rand.Rand
	c   pod.Container
	st  lifecycle.State
	now time.Duration
	// armed are the timers that run; launching, alive and probing what goes on beside the machine.
	armed                                map[lifecycle.Timer]bool
	launching, alive, probing, forbidden bool
	log                                  []string
}

// step lets anything happen, possible in the state of the world or not.
func (w *world) step() {
	w.now += time.Duration(w.rnd.IntN(15000)) * time.Millisecond
	timers := []lifecycle.Timer{lifecycle.TimerProbe, lifecycle.TimerRestart, lifecycle.TimerKill}
	switch w.rnd.IntN(9) {
	case 0:
		w.forbidden = w.st.Stopping // a start while it ends is not heard
		w.happen(start(w.now))
	case 1:
		w.forbidden = true
		w.happen(lifecycle.Stop{Grace: time.Duration(w.rnd.IntN(2)) * s})
	case 2, 3:
		if w.launching {
			w.launching, w.alive = false, true
			w.happen(started(w.now))
		}
	case 4:
		if w.launching {
			w.launching = false
			w.happen(lifecycle.StartFailed{At: at(w.now), Err: "no"})
		}
	case 5:
		if w.alive {
			w.alive, w.probing = false, false
			w.happen(exited(w.now, w.rnd.IntN(2)))
		}
	case 6:
		if t := timers[w.rnd.IntN(3)]; w.armed[t] || w.rnd.IntN(5) == 0 { // or on its way when it was disarmed
			delete(w.armed, t)
			w.happen(due(w.now, t))
		}
	case 7:
		if w.probing {
			w.probing = false
			w.happen(lifecycle.Probed{Probe: pod.Probe{At: at(w.now), ExitCode: w.rnd.IntN(2)}})
		}
	case 8: // nonsense
		if !w.alive {
			w.happen(lifecycle.Probed{})
		}
		w.happen(due(w.now, "unheard of"))
	}
}

func (w *world) happen(e lifecycle.Event) {
	next, effects := lifecycle.Next(w.c, w.st, e)
	w.log = append(w.log, fmt.Sprintf("%T %v", e, show(next, effects)))
	w.st = next
	for _, e := range effects {
		switch e := e.(type) {
		case lifecycle.Launch:
			if w.launching || w.alive || w.forbidden {
				w.t.Errorf("launched: already launching %v, already there %v, stopped %v", w.launching, w.alive, w.forbidden)
			}
			w.launching = true
		case lifecycle.Signal:
			if !w.alive {
				w.t.Error("signals nothing")
			}
		case lifecycle.Arm:
			w.armed[e.Timer] = true
			if e.In <= 0 {
				w.t.Errorf("a timer of %s", e.In)
			}
		case lifecycle.Disarm:
			delete(w.armed, e.Timer)
			if e.Timer == lifecycle.TimerProbe {
				w.probing = false
			}
		case lifecycle.RunProbe:
			w.probing = true
		case lifecycle.Freeze, lifecycle.Thaw:
			w.t.Error("nobody asked for a pause")
		}
	}
	run := w.st.Run
	for name, wrong := range map[string]bool{
		"launching and the world disagree":     w.st.Launching != w.launching,
		"a process and the state disagree":     (run.State == pod.StateRunning) != w.alive || (run.PID != 0) != w.alive,
		"a restart that nobody waits for":      w.armed[lifecycle.TimerRestart] != (run.State == pod.StateRestarting && !w.launching),
		"a kill of what is not to end":         w.armed[lifecycle.TimerKill] && !w.st.Stopping,
		"a probe of what does not run":         (w.armed[lifecycle.TimerProbe] || w.probing) && !w.alive,
		"two probes":                           w.armed[lifecycle.TimerProbe] && w.probing,
		"stopped is not remembered":            w.forbidden != run.Stopped,
		"more restarts than may be":            w.c.Restart.MaxRetries > 0 && run.Restarts > w.c.Restart.MaxRetries,
		"a health of what is not checked":      run.Health != "" && (w.c.Health == nil || !w.alive),
		"more probes than are kept":            len(run.Probes) > 5,
		"an unstopped checked one is let down": w.c.Health != nil && w.alive && !w.st.Stopping && !w.armed[lifecycle.TimerProbe] && !w.probing,
	} {
		if wrong {
			w.t.Error(name)
		}
	}
}

// TestSnapshots: Next changes nothing of the state it is given.
func TestSnapshots(t *testing.T) {
	c := pod.Container{Health: &pod.Health{Test: []string{"CMD", "true"}}}
	st := lifecycle.State{Run: pod.Run{State: pod.StateRunning, Probes: make([]pod.Probe, 5, 10)}}
	before := append([]pod.Probe{}, st.Run.Probes...)
	lifecycle.Next(c, st, lifecycle.Probed{Probe: pod.Probe{ExitCode: 1}})
	if !reflect.DeepEqual(st.Run.Probes, before) || st.Run.Probes[:6][5].ExitCode != 0 {
		t.Error("it was changed")
	}
}
