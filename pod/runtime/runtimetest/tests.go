package runtimetest

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/runtime"
)

func lifecycle(f *fixture) {
	o := f.bundle(false, "/probe", "say", "it")
	out, errs := f.pipe(), f.pipe()
	o.Stdout, o.Stderr = out.w, errs.w
	made, err := f.r.Create(f.Context(), o)
	f.must(err)
	if st := f.wantStatus(runtime.Waiting); st.PID != made.PID || made.PID <= 0 {
		f.Fatalf("pid %d at create, %d in state", made.PID, st.PID)
	}
	if text, err := os.ReadFile(o.PIDFile); err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(made.PID) {
		f.Fatalf("pid file has %q, %v", text, err)
	}
	f.must(f.r.Start(f.Context(), f.id))
	if code := f.reap(made.PID).ExitStatus(); code != 0 {
		f.Fatalf("exit code %d", code)
	}
	if a, b := out.rest(f), errs.rest(f); a != "out it\n" || b != "err it\n" {
		f.Fatalf("stdout %q, stderr %q", a, b)
	}
	if st := f.wantStatus(runtime.Stopped); st.PID != 0 {
		f.Fatalf("stopped with pid %d", st.PID)
	}
	f.wantError(f.r.Kill(f.Context(), f.id, unix.SIGTERM, false), runtime.ErrNotRunning, f.id)
	f.must(f.r.Delete(f.Context(), f.id, false))
	_, err = f.r.State(f.Context(), f.id)
	f.wantError(err, runtime.ErrNotFound, f.id)
}

// startOnce: what runs is not started again, and runs on.
func startOnce(f *fixture) {
	_, out := f.run("/probe", "term")
	out.line(f)
	if err := f.r.Start(f.Context(), f.id); err == nil {
		f.Error("it was started twice")
	}
	f.wantStatus(runtime.Running)
}

// startLate: what was killed before its start cannot be started.
func startLate(f *fixture) {
	made, err := f.r.Create(f.Context(), f.bundle(false, "/probe", "term"))
	f.must(err)
	f.must(f.r.Kill(f.Context(), f.id, unix.SIGKILL, false))
	f.reap(made.PID)
	if err := f.r.Start(f.Context(), f.id); err == nil {
		f.Error("what was killed was started")
	}
	f.wantStatus(runtime.Stopped)
}

func exitCode(f *fixture) {
	pid, _ := f.run("/probe", "exit", "43")
	if code := f.reap(pid).ExitStatus(); code != 43 {
		f.Fatalf("exit code %d, want 43", code)
	}
}

func missingCommand(f *fixture) {
	for argv0, want := range map[string]string{
		"pct-nosuch":  `exec: "pct-nosuch": executable file not found in $PATH`,
		"/pct/nosuch": `exec: "/pct/nosuch": no such file or directory`,
	} {
		_, err := f.r.Create(f.Context(), f.bundle(false, argv0))
		var command *runtime.CommandError
		if !errors.As(err, &command) || command.Code != 127 || command.Message != want {
			f.Errorf("%s: error is %v", argv0, err)
		}
		f.wantError(err, nil, "cannot create container \""+f.id+"\": "+want)
		f.must(f.r.Delete(f.Context(), f.id, true))
	}
}

func doubleCreate(f *fixture) {
	pid, out := f.run("/probe", "term")
	out.line(f)
	_, err := f.r.Create(f.Context(), f.bundle(false, "/probe", "term"))
	f.wantError(err, runtime.ErrExists, f.id)
	if st := f.wantStatus(runtime.Running); st.PID != pid {
		f.Fatalf("pid %d, was %d", st.PID, pid)
	}
}

func signal(f *fixture) {
	pid, out := f.run("/probe", "term")
	if line := out.line(f); line != "ready" {
		f.Fatalf("said %q", line)
	}
	f.wantError(f.r.Delete(f.Context(), f.id, false), nil, f.id)
	f.must(f.r.Kill(f.Context(), f.id, unix.SIGTERM, false))
	if code := f.reap(pid).ExitStatus(); code != 7 {
		f.Fatalf("exit code %d, want 7", code)
	}
}

func deleteForce(f *fixture) {
	pid, out := f.run("/probe", "tree")
	out.line(f)
	ended := make(chan unix.WaitStatus, 1)
	go func() { ended <- f.reap(pid) }()
	f.must(f.r.Delete(f.Context(), f.id, true))
	if ws := <-ended; !ws.Signaled() || ws.Signal() != unix.SIGKILL {
		f.Fatalf("ended with %#x, want SIGKILL", ws)
	}
	_, err := f.r.State(f.Context(), f.id)
	f.wantError(err, runtime.ErrNotFound, f.id)
	if text := out.rest(f); text != "" {
		f.Fatalf("said %q", text)
	}
}

func absent(f *fixture) {
	f.must(f.r.Delete(f.Context(), f.id, true))
	f.must(f.r.Delete(f.Context(), f.id, false))
	f.wantError(f.r.Start(f.Context(), f.id), runtime.ErrNotFound, f.id)
	f.wantError(f.r.Kill(f.Context(), f.id, unix.SIGTERM, true), runtime.ErrNotFound, f.id)
	_, err := f.r.Exec(f.Context(), runtime.ExecOptions{ID: f.id, Process: process(false, "/probe", "exit", "0")})
	f.wantError(err, runtime.ErrNotFound, f.id)
}

func tty(f *fixture) {
	made, err := f.r.Create(f.Context(), f.bundle(true, "/probe", "tty"))
	f.must(err)
	if made.Console == nil {
		f.Fatal("no console")
	}
	defer made.Console.Close()
	f.must(f.r.Start(f.Context(), f.id))
	talk(f, made.Console)
	f.reap(made.PID)
}

// talk holds the probe's conversation on a terminal.
func talk(f *fixture, console *os.File) {
	f.Helper()
	o := output{read: console}
	if line := o.line(f); line != "tty true" {
		f.Fatalf("said %q", line)
	}
	// The command is at work by now: the new size has to reach it.
	f.must(runtime.Resize(console, 30, 100))
	if line := o.line(f); line != "resized" {
		f.Fatalf("said %q", line)
	}
	_, err := console.WriteString("hi\n")
	f.must(err)
	// A terminal that is not raw says what was typed first.
	for line := ""; !strings.HasPrefix(line, "got"); {
		if line = o.line(f); strings.HasPrefix(line, "got") && line != `got "hi\n"` {
			f.Fatalf("said %q", line)
		}
	}
}

func pause(f *fixture) {
	pid, out := f.run("/probe", "term")
	out.line(f)
	f.must(f.r.Pause(f.Context(), f.id))
	f.wantStatus(runtime.Paused)
	f.must(f.r.Resume(f.Context(), f.id))
	f.wantStatus(runtime.Running)
	f.must(f.r.Kill(f.Context(), f.id, unix.SIGKILL, true))
	f.reap(pid)
}

// exec runs a command in a container that waits for SIGTERM.
func (f *fixture) exec(ctx context.Context, o runtime.ExecOptions) *runtime.Process {
	f.Helper()
	_, out := f.run("/probe", "term")
	out.line(f)
	o.ID = f.id
	p, err := f.r.Exec(ctx, o)
	f.must(err)
	return p
}

func (f *fixture) wait(p *runtime.Process) (int, error) {
	f.Helper()
	select {
	case <-p.Done():
		return p.Wait()
	case <-time.After(patience):
		f.Fatal("exec does not end")
		return 0, nil
	}
}

func execOutput(f *fixture) {
	in, out, errs := f.pipe(), f.pipe(), f.pipe()
	p := f.exec(f.Context(), runtime.ExecOptions{Process: process(false, "/probe", "cat"), Stdin: in.read, Stdout: out.w, Stderr: errs.w})
	_, err := in.w.WriteString("through\n")
	f.must(err)
	in.w.Close()
	if code, err := f.wait(p); code != 0 || err != nil {
		f.Fatalf("ended with %d, %v", code, err)
	}
	if a, b := out.rest(f), errs.rest(f); a != "through\n" || b != "" {
		f.Fatalf("stdout %q, stderr %q", a, b)
	}
	out = f.pipe()
	p, err = f.r.Exec(f.Context(), runtime.ExecOptions{ID: f.id, Process: process(false, "/probe", "env", "WORD"), Stdout: out.w})
	f.must(err)
	f.wait(p)
	if text := out.rest(f); text != "hello\n" {
		f.Fatalf("WORD is %q", text)
	}
}

func execCodes(f *fixture) {
	p := f.exec(f.Context(), runtime.ExecOptions{Process: process(false, "/probe", "exit", "0")})
	if code, err := f.wait(p); code != 0 || err != nil {
		f.Errorf("ended with %d, %v; want 0", code, err)
	}
	for _, want := range []int{1, 126, 127, 255} {
		p, err := f.r.Exec(f.Context(), runtime.ExecOptions{ID: f.id, Process: process(false, "/probe", "exit", strconv.Itoa(want))})
		f.must(err)
		if code, err := f.wait(p); code != want || err != nil {
			f.Errorf("ended with %d, %v; want %d", code, err, want)
		}
	}
}

func execMissing(f *fixture) {
	p := f.exec(f.Context(), runtime.ExecOptions{Process: process(false, "pct-nosuch")})
	code, err := f.wait(p)
	var command *runtime.CommandError
	if code != 127 || !errors.As(err, &command) || command.Message != `exec: "pct-nosuch": executable file not found in $PATH` {
		f.Errorf("ended with %d, %v", code, err)
	}
	f.wantStatus(runtime.Running)
}

// execTree: nothing of a health probe may outlive its timeout.
func execTree(f *fixture) {
	out := f.pipe()
	p := f.exec(f.Context(), runtime.ExecOptions{Process: process(false, "/probe", "tree", "deep"), Stdout: out.w})
	if line := out.line(f); line != "ready" {
		f.Fatalf("said %q", line)
	}
	for begun := time.Now(); p.PID() <= 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			f.Fatal("its pid does not become known")
		}
	}
	f.must(p.Kill())
	if code, err := f.wait(p); code != 137 || err != nil {
		f.Fatalf("ended with %d, %v", code, err)
	}
	// The pipe ends when the last process of the tree is gone.
	if text := out.rest(f); text != "" {
		f.Fatalf("said %q", text)
	}
	f.must(p.Kill())
	f.wantStatus(runtime.Running)
}

func execCancelled(f *fixture) {
	out := f.pipe()
	ctx, cancel := context.WithCancel(f.Context())
	p := f.exec(ctx, runtime.ExecOptions{Process: process(false, "/probe", "tree"), Stdout: out.w})
	out.line(f)
	cancel()
	if code, _ := f.wait(p); code != 137 {
		f.Fatalf("ended with %d, want 137", code)
	}
	out.rest(f)
}

func execTTY(f *fixture) {
	p := f.exec(f.Context(), runtime.ExecOptions{Process: process(true, "/probe", "tty")})
	if p.Console == nil {
		f.Fatal("no console")
	}
	defer p.Console.Close()
	talk(f, p.Console)
	if code, err := f.wait(p); code != 0 || err != nil {
		f.Fatalf("ended with %d, %v", code, err)
	}
}

// createCancelled: whatever moment a create is killed at, Delete cleans up and the next create works.
func createCancelled(f *fixture) {
	o := f.bundle(false, "/probe", "exit", "3")
	for after := time.Duration(0); after < 40*time.Millisecond; after += 4 * time.Millisecond {
		ctx, cancel := context.WithTimeout(f.Context(), after)
		_, err := f.r.Create(ctx, o)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			f.Errorf("after %v: %v", after, err)
		}
		f.must(f.r.Delete(f.Context(), f.id, true))
	}
	made, err := f.r.Create(f.Context(), o)
	f.must(err)
	f.must(f.r.Start(f.Context(), f.id))
	if code := f.reap(made.PID).ExitStatus(); code != 3 {
		f.Fatalf("exit code %d", code)
	}
}

// execKilledEarly: at whatever moment of its birth an exec is killed, it ends at once with 137 and the container lives.
func execKilledEarly(f *fixture) {
	pid, out := f.run("/probe", "term")
	out.line(f)
	defer f.reapStrangers(pid)
	for after := time.Duration(0); after < 30*time.Millisecond; after += 2 * time.Millisecond {
		p, err := f.r.Exec(f.Context(), runtime.ExecOptions{ID: f.id, Process: process(false, "/probe", "sleep")})
		f.must(err)
		select {
		case <-p.Done():
		case <-time.After(after):
		}
		f.must(p.Kill())
		if code, err := f.wait(p); code != 137 || err != nil {
			f.Errorf("killed after %v: ended with %d, %v", after, code, err)
		}
	}
	f.wantStatus(runtime.Running)
}

// createRace: of several creates at once one wins, and the others know that they lost.
func createRace(f *fixture) {
	o := f.bundle(false, "/probe", "exit", "0")
	o.PIDFile = ""
	errs := make(chan error)
	for range 4 {
		go func() {
			_, err := f.r.Create(f.Context(), o)
			errs <- err
		}()
	}
	won := 0
	for range 4 {
		switch err := <-errs; {
		case err == nil:
			won++
		case !errors.Is(err, runtime.ErrExists):
			f.Errorf("the loser is told %v", err)
		}
	}
	if won != 1 {
		f.Errorf("%d creates won", won)
	}
	f.must(f.r.Start(f.Context(), f.id))
}
