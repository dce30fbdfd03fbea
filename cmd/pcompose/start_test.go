package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/pod/control"
)

// TestHelpersStartEarly pins the order in which Go initializes packages: a supervisor ends before the one whose
// initialization takes longest, the JSON schemas of Compose files.
func TestHelpersStartEarly(t *testing.T) {
	const late = "github.com/santhosh-tekuri/jsonschema"
	trace := func(args ...string) string {
		// This binary has all that the program has.
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		var said bytes.Buffer
		cmd.Stderr = &said
		_ = cmd.Run() // there is nothing to supervise, and nothing to test
		return said.String()
	}
	if said := trace("-test.run=^$"); !strings.Contains(said, late) {
		t.Fatalf("nothing initializes %s any more: choose another package for this test\n%s", late, said)
	}
	said := trace(control.SupervisorCommand, t.TempDir())
	if strings.Contains(said, late) || !strings.Contains(said, "cannot supervise") {
		t.Errorf("a supervisor starts late:\n%s", said)
	}
}
