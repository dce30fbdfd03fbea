package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/runtime"
)

// TestLookUp: a command that is not there, or is no program, is told as docker words it; all else is left to the runtime.
func TestLookUp(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"good": 0o755, "plain": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	run := control.Run{}
	run.Run.PID = os.Getpid()
	run.Start, _ = keeper.StartTime(run.Run.PID)
	for _, c := range []struct {
		argv0, path, want string
		code              int
	}{
		{"good", dir, "", 0},
		{"good", "/nosuch:" + dir, "", 0},
		{"./good", "", "", 0},
		{dir + "/good", "", "", 0},
		{"plain", dir, `exec: "plain": executable file not found in $PATH`, 127},
		{"nosuch", dir, `exec: "nosuch": executable file not found in $PATH`, 127},
		{"/nosuch/x", "", `exec: "/nosuch/x": no such file or directory`, 127},
		{"./plain", "", `exec: "./plain": permission denied`, 126},
		{dir, "", `exec: "` + dir + `": is a directory`, 126},
		{"/proc/self/nosuch", "", "", 0},
		{"nosuch", "", `exec: "nosuch": executable file not found in $PATH`, 127},
		{"", dir, "", 0},
	} {
		err := lookUp(run, &specs.Process{Args: []string{c.argv0}, Cwd: dir, Env: []string{"PATH=" + c.path}})
		var command *runtime.CommandError
		if (err != nil) != (c.want != "") || err != nil && (!errors.As(err, &command) || command.Message != c.want || command.Code != c.code) {
			t.Errorf("%q in %q: %v, want %q", c.argv0, c.path, err, c.want)
		}
	}
	if err := lookUp(run, &specs.Process{Args: []string{"nosuch"}, Cwd: dir}); err != nil {
		t.Errorf("without a PATH: %v", err)
	}
	run.Start++
	if err := lookUp(run, &specs.Process{Args: []string{"/nosuch"}, Cwd: dir}); err != nil {
		t.Errorf("of another process: %v", err)
	}
}
