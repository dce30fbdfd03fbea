package pid1

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func initProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "init")
	err := Write(path)
	if errors.Is(err, ErrNone) {
		t.Skip("SKIPPED: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestProgram: it is a static executable with a stack that is no code, and small.
func TestProgram(t *testing.T) {
	initProgram(t)
	text, err := Program()
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Flags&elf.PF_W != 0 && p.Flags&elf.PF_X != 0 {
			t.Errorf("segment %+v", p.ProgHeader)
		}
	}
	if len(text) > 4096 {
		t.Errorf("it has %d bytes", len(text))
	}
}

func TestWriteTwice(t *testing.T) {
	path := initProgram(t)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(path); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) || after.Mode().Perm() != 0o555 {
		t.Errorf("%v %v", after.Mode(), err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("half"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(path); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "--", "/bin/sh", "-c", "echo whole").Output(); err != nil || string(out) != "whole\n" {
		t.Errorf("%q %v", out, err)
	}
}

func TestExitCodes(t *testing.T) {
	init := initProgram(t)
	for _, c := range []struct {
		argv []string
		want int
	}{
		{[]string{"--", "sh", "-c", "exit 43"}, 43},
		{[]string{"sh", "-c", "exit 0"}, 0},
		{[]string{"--", "/bin/sh", "-c", "kill -9 $$"}, 137},
		{[]string{"--", "no-such-program"}, 127},
		{[]string{"--", "/no/such"}, 127},
		{[]string{"--", "/etc"}, 126},
		{[]string{"--", ""}, 127},
		{[]string{"--"}, 127},
		{nil, 127},
	} {
		cmd := exec.Command(init, c.argv...)
		cmd.Env = []string{"A=b", "PATH=:/nowhere:/usr/bin:/bin", "Z=y"}
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.want {
			t.Errorf("%q: %d, want %d: %q %v", c.argv, code, c.want, out, err)
		}
	}
}

// TestSignals: the command gets what the init process gets, with the mask that it had.
func TestSignals(t *testing.T) {
	cmd := exec.Command(initProgram(t), "--", "sh", "-c", "trap 'echo told; exit 7' TERM; grep SigBlk: /proc/self/status; echo ready; while :; do sleep 0.01; done")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if lines.Text() == "ready" {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if got := strings.Join(said, " "); got != "SigBlk:\t0000000000000000 ready told" || cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("%q, ended with %d", got, cmd.ProcessState.ExitCode())
	}
}

// TestOrphans: what nobody waits for is reaped.
func TestOrphans(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: a PID namespace needs root")
	}
	// The orphan's parent ends first. Then the command waits until no zombie is left.
	script := `mount -t proc proc /proc || exit 1; (sh -c 'sleep 0.05; exit 3' &) ; (sh -c 'exit 4' &); sleep 0.1; n=0
		while grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do n=$((n+1)); [ $n -lt 200 ] || exit 5; sleep 0.01; done; echo clean $(cut -d' ' -f1 /proc/1/stat)`
	cmd := exec.Command(initProgram(t), "--", "sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "clean 1\n") {
		t.Errorf("%q %v", out, err)
	}
}
