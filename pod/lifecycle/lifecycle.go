// Package lifecycle is the life of one container as a state machine: start, health, exit, back-off, stop.
//
//	          Start                 Started
//	created ────────▶ (launching) ──────────▶ running ──Exited──▶ exited
//	                        ▲                                │
//	                        └──RestartDue── restarting ◀─────┘ its restart policy wants it back
//
// Next is the whole machine. It owns no timer and no process: it is told what happened, with the time it
// happened at, and answers with what to do. The supervisor does it.
package lifecycle

import (
	"time"

	"github.com/pcompose/pcompose/pod"
)

// State is a container's place in its life.
type State struct {
	// Run is what the user sees of it.
	Run pod.Run
	// Launching says that a start was asked for whose outcome is not known yet.
	Launching bool
	// Backoff is the wait before the last restart; 0 after a life long enough.
	Backoff time.Duration
	// Failed counts the restarts since the user's start whose life was shorter than the policy's window.
	Failed int `json:",omitempty"`
	// Stopping says that the container was asked to end and has not yet.
	Stopping bool
	// Pausing and Resuming say that its processes are being frozen or thawed.
	Pausing  bool `json:",omitempty"`
	Resuming bool `json:",omitempty"`
	// Held says that it is paused for as long as somebody holds it, and not until a user's Unpause.
	Held bool `json:",omitempty"`
}

// Event is something that happened to a container at a time.
//
//sumtype:decl
type Event interface{ event() }

type (
	// Start is a user's wish that it runs. While it is asked to end, a start is not heard: it may be asked for again
	// after the end.
	Start struct{ At time.Time }
	// Started says that its process runs.
	Started struct {
		At  time.Time
		PID int
	}
	// StartFailed says why its process could not be started. Code is 126 or 127 where its command cannot be run.
	StartFailed struct {
		At   time.Time
		Err  string
		Code int
	}
	// Exited says that its process has ended and its output is stored. Code is 128+n after signal n.
	Exited struct {
		At        time.Time
		Code      int
		OOMKilled bool
	}
	// Stop is a user's wish that it ends, and is killed after Grace.
	Stop struct{ Grace time.Duration }
	// Killed says that a user sent it a signal to end it: no restart policy brings it back.
	Killed struct{}
	// Due says that a timer that was armed has run out.
	Due struct {
		At    time.Time
		Timer Timer
	}
	// PostStarted says that as many post_start hooks have ended well as Count.
	PostStarted struct{ Count int }
	// Probed says what a health check found.
	Probed struct{ Probe pod.Probe }
	// Pause is a user's wish that its processes rest. One that is asked to end is not paused. With Held they rest until
	// Release, unless a user's Pause comes meanwhile.
	Pause struct{ Held bool }
	// Unpause is a user's wish that they go on.
	Unpause struct{}
	// Release ends a pause that is held.
	Release struct{}
	// Frozen says that they rest, or why they do not.
	Frozen struct {
		At  time.Time
		Err string
	}
	// Thawed says that they go on, or why they do not.
	Thawed struct {
		At  time.Time
		Err string
	}
)

func (Start) event()       {}
func (Started) event()     {}
func (StartFailed) event() {}
func (Exited) event()      {}
func (Stop) event()        {}
func (Killed) event()      {}
func (Due) event()         {}
func (PostStarted) event() {}
func (Probed) event()      {}
func (Pause) event()       {}
func (Unpause) event()     {}
func (Release) event()     {}
func (Frozen) event()      {}
func (Thawed) event()      {}

// Timer is one of the timers of a container; each runs at most once at a time.
type Timer string

const (
	TimerProbe   Timer = "probe"
	TimerRestart Timer = "restart"
	TimerKill    Timer = "kill"
)

// Effect is something the supervisor is to do.
//
//sumtype:decl
type Effect interface{ effect() }

type (
	// Launch starts the process; Started or StartFailed follows.
	Launch struct{}
	// Signal sends the process a signal; "" is its stop signal.
	Signal struct{ Name string }
	// Arm sets a timer; Due follows.
	Arm struct {
		Timer Timer
		In    time.Duration
	}
	// Disarm stops a timer.
	Disarm struct{ Timer Timer }
	// RunProbe runs the health check once; Probed follows.
	RunProbe struct{}
	// Freeze stops all processes; Frozen follows.
	Freeze struct{}
	// Thaw lets them go on; Thawed follows.
	Thaw struct{}
)

func (Launch) effect()   {}
func (Signal) effect()   {}
func (Arm) effect()      {}
func (Disarm) effect()   {}
func (RunProbe) effect() {}
func (Freeze) effect()   {}
func (Thaw) effect()     {}

// Kill is the signal no process can ignore.
const Kill = "SIGKILL"

const (
	// Restarts wait twice as long as the last time, from firstBackoff to maxBackoff, and from the start again
	// after a life of goodLife: at most 9 starts in the first 30 seconds of a crash loop.
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = time.Minute
	goodLife     = 10 * time.Second
	// startError is the exit code of a container that could not be started for another reason than its command.
	startError = 128
)

// Next is the state after an event, and what is to be done. Events that make no sense in a state, such as a
// probe's result after the exit, change nothing.
func Next(c pod.Container, s State, e Event) (State, []Effect) {
	switch e := e.(type) {
	case Start:
		return start(s)
	case Started:
		return started(c, s, e)
	case StartFailed:
		return startFailed(s, e)
	case Exited:
		return exited(c, s, e)
	case Stop:
		return stop(s, e)
	case Killed:
		s.Run.Stopped = true
		return thaw(s, nil)
	case Due:
		return due(s, e)
	case PostStarted:
		if runs(s) {
			s.Run.PostStarted = max(s.Run.PostStarted, e.Count)
		}
		return s, nil
	case Probed:
		return probed(c, s, e.Probe)
	case Pause:
		return pause(s, e)
	case Release:
		return release(s)
	case Unpause:
		return thaw(s, nil)
	case Frozen:
		return frozen(c, s, e)
	case Thawed:
		return thawed(c, s, e)
	}
	return s, nil
}

func start(s State) (State, []Effect) {
	if s.Launching || runs(s) {
		return s, nil
	}
	s.Launching, s.Stopping, s.Backoff, s.Failed = true, false, 0, 0
	s.Run.Stopped, s.Run.Error, s.Run.Restarts, s.Run.PostStarted = false, "", 0, 0
	return s, []Effect{Disarm{TimerRestart}, Launch{}}
}

// runs says whether there is a process.
func runs(s State) bool { return s.Run.State == pod.StateRunning || s.Run.State == pod.StatePaused }

func started(c pod.Container, s State, e Started) (State, []Effect) {
	if !s.Launching {
		return s, nil
	}
	s.Launching = false
	s.Run.State, s.Run.PID, s.Run.StartedAt = pod.StateRunning, e.PID, e.At
	s.Run.ExitCode, s.Run.OOMKilled, s.Run.FinishedAt, s.Run.Error = 0, false, time.Time{}, ""
	s.Run.Health, s.Run.FailingStreak, s.Run.Probes = "", 0, nil
	if s.Stopping { // asked to end while it was starting
		return s, []Effect{Signal{Kill}}
	}
	if !Checked(c) {
		return s, nil
	}
	s.Run.Health = pod.HealthStarting
	return s, []Effect{Arm{TimerProbe, interval(c.Health, s.Run, e.At)}}
}

func startFailed(s State, e StartFailed) (State, []Effect) {
	if !s.Launching {
		return s, nil
	}
	s.Launching, s.Stopping, s.Run.PID = false, false, 0
	s.Run.Error, s.Run.Health, s.Run.FinishedAt = e.Err, "", e.At
	// What could not start once will not start the next time either: no restart policy brings it back.
	if s.Run.State != pod.StateCreated {
		s.Run.State = pod.StateExited
	}
	s.Run.ExitCode = startError
	if e.Code != 0 {
		s.Run.ExitCode = e.Code
	}
	return s, nil
}

func exited(c pod.Container, s State, e Exited) (State, []Effect) {
	if !runs(s) {
		return s, nil
	}
	lived := e.At.Sub(s.Run.StartedAt)
	s.Run.State, s.Run.PID = pod.StateExited, 0
	s.Run.ExitCode, s.Run.OOMKilled, s.Run.FinishedAt, s.Run.Health = e.Code, e.OOMKilled, e.At, ""
	s.Run.Stopped = s.Run.Stopped || s.Stopping
	s.Stopping, s.Pausing, s.Resuming, s.Held = false, false, false, false
	effects := []Effect{Disarm{TimerKill}, Disarm{TimerProbe}}
	if s.Run.Restarts > 0 && (c.Restart.Window == 0 || lived < c.Restart.Window) {
		s.Failed++
	}
	if s.Run.Stopped || !wanted(c.Restart, s) {
		return s, effects
	}
	switch {
	case c.Restart.Delay > 0:
		s.Backoff = c.Restart.Delay
	case lived >= goodLife:
		s.Backoff = firstBackoff
	default:
		s.Backoff = min(max(2*s.Backoff, firstBackoff), maxBackoff)
	}
	s.Run.State = pod.StateRestarting
	return s, append(effects, Arm{TimerRestart, s.Backoff})
}

// wanted says whether a restart policy brings a container back after its exit.
func wanted(r pod.Restart, s State) bool {
	if r.MaxRetries > 0 && s.Failed >= r.MaxRetries {
		return false
	}
	switch r.Policy {
	case pod.RestartAlways, pod.RestartUnlessStopped:
		return true
	case pod.RestartOnFailure:
		return s.Run.ExitCode != 0
	}
	return false
}

func stop(s State, e Stop) (State, []Effect) {
	s.Run.Stopped = true
	switch {
	case s.Launching:
		s.Stopping = true
		return s, nil
	case s.Run.State == pod.StateRestarting:
		s.Run.State = pod.StateExited
		return s, []Effect{Disarm{TimerRestart}}
	case !runs(s):
		return s, nil
	}
	s.Stopping = true
	if e.Grace <= 0 {
		return thaw(s, []Effect{Disarm{TimerProbe}, Signal{Kill}})
	}
	return thaw(s, []Effect{Disarm{TimerProbe}, Signal{}, Arm{TimerKill, e.Grace}})
}

func due(s State, e Due) (State, []Effect) {
	switch {
	case e.Timer == TimerRestart && s.Run.State == pod.StateRestarting && !s.Launching:
		s.Launching = true
		s.Run.Restarts++
		return s, []Effect{Launch{}}
	case e.Timer == TimerProbe && s.Run.State == pod.StateRunning && !s.Stopping && !s.Pausing:
		return s, []Effect{RunProbe{}}
	case e.Timer == TimerKill && runs(s) && s.Stopping:
		return thaw(s, []Effect{Signal{Kill}})
	}
	return s, nil
}
