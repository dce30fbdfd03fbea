package supervisor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

// TestProbe: what a health check says becomes the container's health, its output is cut.
func TestProbe(t *testing.T) {
	f := newPod(t)
	id := f.start(pod.Container{Health: health(`echo checked; test -e "$DIR/well"`, 5*time.Millisecond)}, "sleep 1000")
	if run := f.run(id); run.Health == "" {
		t.Errorf("health %q", run.Health)
	}
	run := f.until(id, func(r pod.Run) bool { return r.Health == pod.HealthUnhealthy })
	if last := run.Probes[len(run.Probes)-1]; run.FailingStreak < 2 || last.ExitCode != 1 || last.Output != "checked\n" {
		t.Errorf("%+v", run)
	}
	f.must(os.WriteFile(filepath.Join(f.dir, "well"), nil, 0o600))
	run = f.until(id, func(r pod.Run) bool { return r.Health == pod.HealthHealthy })
	if run.FailingStreak != 0 || len(run.Probes) > 5 {
		t.Errorf("%+v", run)
	}
	f.want(stop(id, 0))
	if run := f.run(id); run.Health != "" {
		t.Errorf("stopped and %s", run.Health)
	}

	id = f.start(pod.Container{Health: health("yes | head -c 200000", 5*time.Millisecond)}, "sleep 1000")
	run = f.until(id, func(r pod.Run) bool { return len(r.Probes) > 0 })
	if p := run.Probes[0]; len(p.Output) != maxProbeOutput || p.ExitCode != 0 {
		t.Errorf("%d bytes, exit code %d", len(p.Output), p.ExitCode)
	}
	// A process that the probe leaves behind does not hold it up, and what was written before is there.
	id = f.start(pod.Container{Health: health("sleep 1000 & echo said", 5*time.Millisecond)}, "sleep 1000")
	run = f.until(id, func(r pod.Run) bool { return len(r.Probes) > 2 })
	for _, p := range run.Probes {
		if p.Output != "said\n" || p.ExitCode != 0 || p.Took > patience/2 {
			t.Errorf("%+v", p)
		}
	}
	f.want(stop(id, 0))
	for _, p := range f.processes() {
		f.killOf(p, "sleep 1000") // the fake runtime has no namespace to end them with
	}
}

// killOf ends a process that processes named.
func (f *fixture) killOf(line, with string) {
	f.Helper()
	path, argv, _ := strings.Cut(line, " ")
	pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
	f.must(err)
	if p, err := os.FindProcess(pid); err == nil && strings.Contains(argv, with) {
		_ = p.Kill()
	}
}

// TestProbeTimeout: a probe that takes too long fails, and ends with all it started.
func TestProbeTimeout(t *testing.T) {
	f := newPod(t)
	h := health("echo slow; sh -c 'sleep 2000; true' ; true", 5*time.Millisecond)
	h.Timeout, h.Retries = 100*time.Millisecond, 1
	id := f.start(pod.Container{Health: h}, "sleep 1000")
	f.wantError(wait(id, pod.UntilHealthy), "health check took longer than 100ms")
	run := f.run(id)
	if p := run.Probes[0]; p.ExitCode != -1 || !strings.HasSuffix(p.Output, "slow\n") {
		t.Errorf("%+v", p)
	}
	f.want(stop(id, 0))
	for deadline := time.Now().Add(patience); strings.Contains(strings.Join(f.processes(), "\n"), "sleep 2000"); {
		if time.Now().After(deadline) {
			t.Fatalf("%q", f.processes())
		}
	}
}

// TestProbesGoOn: a stop, a restart and a supervisor's death end a probe at work, and the next run is probed again.
func TestProbesGoOn(t *testing.T) {
	f := newPod(t)
	h := health(`echo probe >> "$DIR/probes"; test ! -e "$DIR/slow" || sleep 1000`, 5*time.Millisecond)
	always := pod.Restart{Policy: pod.RestartAlways}
	id := f.start(pod.Container{Health: h, Restart: always}, "sleep 1000")
	healthy := func(r pod.Run) bool { return r.Health == pod.HealthHealthy && r.State == pod.StateRunning }
	f.until(id, healthy)
	slow := filepath.Join(f.dir, "slow")
	for _, end := range []func(){
		func() { f.want(stop(id, 0)); f.want(start(id)) },
		func() {
			before := f.run(id).StartedAt
			f.want(signal(id, "HUP"))
			f.until(id, func(r pod.Run) bool { return r.State == pod.StateRunning && !r.StartedAt.Equal(before) })
		},
		f.kill,
	} {
		f.must(os.WriteFile(slow, nil, 0o600))
		n := f.probes()
		for f.probes() <= n+1 && f.probing() == 0 { // a probe that does not end is at work
		}
		f.must(os.Remove(slow))
		end()
		probed := len(f.run(id).Probes)
		f.until(id, func(r pod.Run) bool { return healthy(r) && (len(r.Probes) > probed || len(r.Probes) == 5) })
	}
	f.want(forget(id))
	for _, p := range f.processes() {
		f.killOf(p, "sleep 1000") // what a killed supervisor's probe had started: as above
	}
}

// probes counts those begun; probing those that hang.
func (f *fixture) probes() int {
	text, _ := os.ReadFile(filepath.Join(f.dir, "probes"))
	return strings.Count(string(text), "\n")
}

func (f *fixture) probing() int { return strings.Count(strings.Join(f.processes(), "\n"), "/slow") }

// TestExec: a process beside the container's, with the client's files and its exit code.
func TestExec(t *testing.T) {
	f := newPod(t)
	id := f.start(pod.Container{}, "sleep 1000")
	if code, out, err := f.exec(id, "word\n", "sh", "-c", "cat; echo err >&2; exit 9"); code != 9 || out != "word\nerr\n" || err != "" {
		t.Errorf("%d, %q, %q", code, out, err)
	}
	if code, _, err := f.exec(id, "", "pct-nosuch"); code != 127 || !strings.Contains(err, "not found") {
		t.Errorf("%d, %q", code, err)
	}
	f.want(stop(id, 0))
	if _, _, err := f.exec(id, "", "true"); !strings.Contains(err, `cannot run a command in container "web": it is not running`) {
		t.Errorf("%q", err)
	}
	if _, _, err := f.exec(newID(), "", "true"); !strings.Contains(err, "cannot find container") {
		t.Errorf("%q", err)
	}
}

// exec runs a command, its output in one file.
func (f *fixture) exec(id, in string, argv ...string) (code int, out, failure string) {
	f.Helper()
	stdin, stdout := filepath.Join(f.dir, "stdin"), filepath.Join(f.dir, "stdout")
	f.must(os.WriteFile(stdin, []byte(in), 0o600))
	r, err := os.Open(stdin)
	f.must(err)
	defer r.Close()
	w, err := os.OpenFile(stdout, os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	f.must(err)
	defer w.Close()
	conn, err := control.Dial(f.ctx, f.dir)
	f.must(err)
	defer conn.Close()
	defer conn.CloseOn(f.ctx)()
	f.must(conn.Send(control.Request{Exec: &control.Exec{ID: id, Process: f.processJSON(argv)}}, r, w, w))
	var begun, ended control.Reply
	_, err = conn.Receive(&begun)
	f.must(err)
	if begun.Error != "" {
		return begun.ExitCode, "", begun.Error
	}
	_, err = conn.Receive(&ended)
	f.must(err)
	text, err := os.ReadFile(stdout)
	f.must(err)
	return ended.ExitCode, string(text), ended.Error
}
