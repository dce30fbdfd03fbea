package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

// TestExitCodes: a container's end is known with its code, and its output is complete by then.
func TestExitCodes(t *testing.T) {
	f := newPod(t)
	for line, want := range map[string]int{"echo a; echo b; echo c >&2": 0, "exit 43": 43, "kill -KILL $$": 137, "kill -TERM $$": 143} {
		id := f.start(pod.Container{}, line)
		if reply := f.want(wait(id, "")); reply.ExitCode != want {
			t.Errorf("%s: exit code %d, want %d", line, reply.ExitCode, want)
		}
		run := f.run(id)
		if run.State != pod.StateExited || run.ExitCode != want || run.PID != 0 || run.FinishedAt.Before(run.StartedAt) {
			t.Errorf("%s: %+v", line, run)
		}
		if strings.HasPrefix(line, "echo") {
			if said := f.lines(id); len(said) != 3 || !slices.Contains(said, "c") {
				t.Errorf("log is %q", said)
			}
		}
	}
}

// TestStartErrors: what cannot be started says why, is waited for by nobody, and can be started once it is mended.
func TestStartErrors(t *testing.T) {
	f := newPod(t)
	id := f.bundleArgv(pod.Container{Restart: pod.Restart{Policy: pod.RestartAlways}}, "pct-nosuch")
	f.wantError(start(id), `cannot start container "web": exec: "pct-nosuch": executable file not found in $PATH`)
	f.wantError(wait(id, pod.UntilStarted), "did not start")
	f.wantError(start("0123456789abcdef"), "cannot find container 0123456789ab")
	f.wantError(stop("0123456789abcdef", 0), "cannot find container 0123456789ab")
	f.wantError(control.Request{}, "another version")

	refuse := filepath.Join(f.dir, "runtime", "refuse")
	f.must(os.WriteFile(refuse, nil, 0o600))
	id = f.bundle(pod.Container{}, "exit 3")
	f.wantError(start(id), "refused")
	f.must(os.Remove(refuse))
	f.want(start(id))
	if reply := f.want(wait(id, "")); reply.ExitCode != 3 {
		t.Errorf("exit code %d", reply.ExitCode)
	}
	if err := f.run(id).Error; err != "" {
		t.Errorf("started, with error %q", err)
	}
	// A log that cannot be made is an error of the start, and leaves nothing behind.
	f.must(os.WriteFile(filepath.Join(f.dir, "logs", "file"), nil, 0o600))
	b := f.bundle(pod.Container{}, "exit 0")
	bundle, err := control.ReadBundle(filepath.Join(f.dir, "containers", b))
	f.must(err)
	bundle.LogDir = filepath.Join(f.dir, "logs", "file")
	f.must(control.WriteBundle(filepath.Join(f.dir, "containers", b), bundle))
	f.wantError(start(b), "not a directory")
}

// TestStop: the stop signal first, SIGKILL after the grace, at once without grace; no restart policy brings it back.
func TestStop(t *testing.T) {
	f := newPod(t)
	always := pod.Restart{Policy: pod.RestartAlways}
	deaf := `trap "" TERM; echo ready; while :; do sleep 1; done`
	for _, test := range []struct {
		line, signal string
		grace        time.Duration
		want         int
	}{
		{`trap "exit 7" TERM; echo ready; while :; do sleep 0.01; done`, "", patience, 7},
		{`trap "exit 8" QUIT; echo ready; while :; do sleep 0.01; done`, "SIGQUIT", patience, 8},
		{deaf, "", 50 * time.Millisecond, 137},
		{deaf, "", 0, 137},
		{deaf, "SIGNOSUCH", 50 * time.Millisecond, 137},
		// A stopped process takes no signal but this one.
		{`echo ready; kill -STOP $$`, "", 50 * time.Millisecond, 137},
	} {
		id := f.start(pod.Container{Restart: always, Stop: pod.Stop{Signal: test.signal}}, test.line)
		f.said(id, "ready")
		if reply := f.want(stop(id, test.grace)); reply.ExitCode != test.want {
			t.Errorf("%q %q: exit code %d, want %d", test.line, test.signal, reply.ExitCode, test.want)
		}
		if run := f.run(id); run.State != pod.StateExited || !run.Stopped || run.Restarts != 0 {
			t.Errorf("%q: %+v", test.line, run)
		}
		f.want(stop(id, 0))             // of one that has ended
		if test.signal != "SIGNOSUCH" { // it is looked up first
			f.wantError(signal(id, "SIGHUP"), "not running")
		}
	}
}

// TestSignal: a signal reaches the process, a name that is none says so.
func TestSignal(t *testing.T) {
	f := newPod(t)
	id := f.start(pod.Container{}, `trap "echo hup" HUP; trap "exit 9" USR1; echo ready; while :; do sleep 0.01; done`)
	f.said(id, "ready")
	f.wantError(signal(id, "SIGNOSUCH"), `no signal is named "SIGNOSUCH"`)
	f.want(signal(id, "HUP"))
	f.said(id, "hup")
	f.want(start(id)) // of one that runs: nothing
	f.want(signal(id, "SIGUSR1"))
	if reply := f.want(wait(id, pod.Until(""))); reply.ExitCode != 9 {
		t.Errorf("exit code %d", reply.ExitCode)
	}
}

// TestWait: every condition, reached and out of reach.
func TestWait(t *testing.T) {
	f := newPod(t)
	ran := f.start(pod.Container{}, "exit 0")
	f.want(wait(ran, pod.UntilCompleted))
	f.want(wait(ran, pod.UntilStarted))
	f.want(wait(ran, pod.UntilReady))
	failed := f.start(pod.Container{}, "exit 5")
	f.wantError(wait(failed, pod.UntilCompleted), `container "web" exited with 5`)
	f.wantError(wait(failed, pod.UntilReady), `container "web" exited with 5`)
	runs := f.start(pod.Container{}, "sleep 1000")
	f.want(wait(runs, pod.UntilStarted))
	f.want(wait(runs, pod.UntilReady))
	f.wantError(wait(runs, pod.UntilHealthy), "has no health check")

	well := f.start(pod.Container{Health: health("test -e $DIR/well", time.Millisecond)}, "sleep 1000")
	healthy := f.later(wait(well, pod.UntilHealthy))
	f.must(os.WriteFile(filepath.Join(f.dir, "well"), nil, 0o600))
	// The first probes may have made it unhealthy before the file was there.
	if reply := <-healthy; reply.Error != "" && !strings.Contains(reply.Error, "unhealthy") {
		t.Error(reply.Error)
	}
	f.until(well, func(r pod.Run) bool { return r.Health == pod.HealthHealthy })
	f.want(wait(well, pod.UntilHealthy))
	f.want(wait(well, pod.UntilReady))
	ill := f.start(pod.Container{Health: health("echo no pulse; exit 3", time.Millisecond)}, "sleep 1000")
	f.wantError(wait(ill, pod.UntilHealthy), `container "web" is unhealthy: its last check exited with 3: no pulse`)
	ended := f.later(wait(runs, ""))
	f.want(stop(runs, 0))
	if reply := <-ended; reply.ExitCode != 137 {
		t.Errorf("%+v", reply)
	}
}

// later asks beside the test.
func (f *fixture) later(req control.Request) <-chan control.Reply {
	reply := make(chan control.Reply, 1)
	go func() {
		r, err := f.try(req)
		if err != nil {
			r.Error = err.Error()
		}
		reply <- r
	}()
	return reply
}

// TestRestart: a policy brings a container back, each time later, as often as it says, and lets a stop end that.
func TestRestart(t *testing.T) {
	f := newPod(t)
	onFailure := pod.Container{Restart: pod.Restart{Policy: pod.RestartOnFailure, MaxRetries: 2}}
	id := f.start(onFailure, "echo try; exit 6")
	if reply := f.want(wait(id, "")); reply.ExitCode != 6 {
		t.Errorf("exit code %d", reply.ExitCode)
	}
	if run := f.run(id); run.Restarts != 2 || run.State != pod.StateExited {
		t.Errorf("%+v", run)
	}
	f.wantLines(id, "try", "try", "try")
	if reply := f.want(wait(f.start(onFailure, "exit 0"), "")); reply.ExitCode != 0 {
		t.Errorf("exit code %d", reply.ExitCode)
	}
	// Back-off: in the time of one long wait nothing is started.
	id = f.start(pod.Container{Restart: pod.Restart{Policy: pod.RestartAlways}}, "date +%s%N; exit 1")
	f.until(id, func(r pod.Run) bool { return r.State == pod.StateRestarting && r.Restarts == 3 })
	f.want(stop(id, 0))
	run := f.run(id)
	if run.State != pod.StateExited || !run.Stopped {
		t.Errorf("%+v", run)
	}
	f.wantBackoff(id)
	// A user's start begins anew.
	f.want(start(id))
	if run := f.run(id); run.Restarts > 2 || run.Stopped {
		t.Errorf("%+v", run)
	}
	f.want(forget(id))
}

// wantBackoff: the starts, which print their times in nanoseconds, lie 100, 200, 400 ms apart at least.
func (f *fixture) wantBackoff(id string) {
	f.Helper()
	last := time.Time{}
	for i, line := range f.lines(id) {
		d, err := time.ParseDuration(line + "ns")
		f.must(err)
		at := time.Unix(0, d.Nanoseconds())
		if gap := 100 * time.Millisecond << max(i-1, 0); i > 0 && at.Sub(last) < gap {
			f.Errorf("start %d came after %s, want %s", i, at.Sub(last), gap)
		}
		last = at
	}
}

// TestForget: a container that is forgotten ends, cannot be started again, and nobody waits for it any longer.
func TestForget(t *testing.T) {
	f := newPod(t)
	id := f.start(pod.Container{Restart: pod.Restart{Policy: pod.RestartAlways}}, "sleep 1000")
	pid := f.run(id).PID
	waits := f.later(wait(id, pod.UntilCompleted))
	f.want(control.Request{Status: &struct{}{}})
	f.want(forget(id))
	f.gone(pid)
	if reply := <-waits; reply.Error == "" {
		t.Errorf("the wait ended with %+v", reply)
	}
	f.want(forget(id))
	f.wantError(start(id), "removed")
	if run := f.run(id); run.State != "" {
		t.Errorf("still known: %+v", run)
	}
	// One that never ran: the wait for its end must not last for ever.
	id = f.bundle(pod.Container{}, "exit 0")
	waits = f.later(wait(id, ""))
	for f.run(id).State != pod.StateCreated { // it becomes known by the wait, which is no change
	}
	f.want(forget(id))
	if reply := <-waits; !strings.Contains(reply.Error, "removed") {
		t.Errorf("the wait ended with %+v", reply)
	}
	f.wantError(start(id), "removed")
	f.want(forget(newID()))
}

// TestForgetWhileLaunching: a start at work ends first, and leaves nothing.
func TestForgetWhileLaunching(t *testing.T) {
	f := newPod(t)
	hang := filepath.Join(f.dir, "runtime", "hang")
	f.supervisor() // has made the runtime's directory
	f.must(os.WriteFile(hang, nil, 0o600))
	id := f.bundle(pod.Container{}, "exec sleep 1000") // no child, which without a PID namespace is killed later
	started := f.later(start(id))
	f.until(id, func(r pod.Run) bool { return r.State == pod.StateStarting })
	forgotten := f.later(forget(id))
	f.until(id, func(r pod.Run) bool { return r.Stopped })
	f.must(os.Remove(hang))
	if reply := <-forgotten; reply.Error != "" {
		t.Error(reply.Error)
	}
	<-started // it was started for a moment, or not
	f.wantError(start(id), "removed")
	for _, p := range f.processes() {
		if strings.Contains(p, "sleep 1000") {
			t.Error(p)
		}
	}
}

// TestOutputOfOrphans: what a container's first process leaves behind holds nobody up.
func TestOutputOfOrphans(t *testing.T) {
	f := newPod(t)
	id := f.start(pod.Container{}, `sh -c 'echo left; exec sleep 1000' & sleep 0.2; exit 4`)
	if reply := f.want(wait(id, "")); reply.ExitCode != 4 {
		t.Errorf("exit code %d", reply.ExitCode)
	}
	f.wantLines(id, "left")
}

// TestUpdate: a restart policy and a stop signal that are new count at once, and after the supervisor's death.
func TestUpdate(t *testing.T) {
	f := newPod(t)
	c := pod.Container{Name: "web"}
	id := f.start(c, `trap "exit 11" USR1; trap "exit 12" TERM; echo ready; while :; do sleep 0.01; done`)
	f.said(id, "ready")
	c.Restart, c.Stop.Signal = pod.Restart{Policy: pod.RestartAlways}, "SIGUSR1"
	f.want(control.Request{Update: &control.Update{ID: id, Container: c}})
	f.want(signal(id, "HUP")) // not the stop signal: nobody asked for its end
	f.until(id, func(r pod.Run) bool { return r.State == pod.StateRunning && r.Restarts == 1 })
	f.kill()
	for len(f.lines(id)) < 2 { // the new process has set its traps
	}
	if reply := f.want(stop(id, patience)); reply.ExitCode != 11 {
		t.Errorf("exit code %d", reply.ExitCode)
	}
	f.wantError(control.Request{Update: &control.Update{ID: newID()}}, "cannot find container")
}
