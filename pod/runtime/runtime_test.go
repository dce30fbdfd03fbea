package runtime

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"crun", "runc", "krun", "my-runtime"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	only := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(only, "runc"), nil, 0o755), os.WriteFile(filepath.Join(only, "plain"), nil, 0o644),
		os.Symlink(filepath.Join(dir, "crun"), filepath.Join(only, "linked"))); err != nil {
		t.Fatal(err)
	}
	paths := map[string][]string{"krun": {"/pct/none", filepath.Join(dir, "krun")}}
	for _, c := range []struct {
		name string
		s    Search
		want string
		kind Kind
		err  string
	}{
		{name: "crun first", s: Search{PATH: dir}, want: dir + "/crun", kind: Crun},
		{name: "named", s: Search{Name: "runc", Configured: "crun", PATH: dir}, want: dir + "/runc", kind: Runc},
		{name: "configured", s: Search{Configured: "runc", PATH: dir}, want: dir + "/runc", kind: Runc},
		{name: "configured by path", s: Search{Configured: "krun", Paths: paths, PATH: only}, want: dir + "/krun", kind: Runc},
		{name: "configured is missing", s: Search{Configured: "gone", PATH: dir}, want: dir + "/crun", kind: Crun},
		{name: "path", s: Search{Name: dir + "/my-runtime"}, want: dir + "/my-runtime", kind: Runc},
		{name: "link", s: Search{Name: "linked", PATH: only}, want: only + "/linked", kind: Crun},
		{name: "relative PATH is not searched", s: Search{Name: "my-runtime", PATH: "::."}, err: "apt install crun"},
		{name: "named is missing", s: Search{Name: "gone", PATH: dir}, err: `cannot find OCI runtime "gone"`},
		{name: "not executable", s: Search{Name: "plain", PATH: only}, err: `cannot find OCI runtime "plain"`},
	} {
		path, kind, err := Find(c.s)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if path != c.want || kind != c.kind || err != nil {
			t.Errorf("%s: %s %s %v, want %s %s", c.name, path, kind, err, c.want, c.kind)
		}
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct {
		log, argv0, want string
		code             int
	}{
		{log: `{"level":"error","msg":"runc create failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH"}`,
			want: `exec: "nosuch": executable file not found in $PATH`, code: 127},
		{log: `{"msg":"executable file ` + "`nosuch`" + ` not found in $PATH: No such file or directory","level":"error"}`,
			want: `exec: "nosuch": executable file not found in $PATH`, code: 127},
		{log: `{"msg":"executable file ` + "`/x`" + ` not found: No such file or directory","level":"error"}`,
			want: `exec: "/x": no such file or directory`, code: 127},
		{log: `{"level":"error","msg":"exec failed: unable to start container process: exec: \"/x\": stat /x: no such file or directory"}`,
			want: `exec: "/x": no such file or directory`, code: 127},
		{log: `{"level":"error","msg":"exec failed: unable to start container process: exec: \"/proc\": permission denied"}`,
			want: `exec: "/proc": permission denied`, code: 126},
		{log: `{"msg":"open executable: Operation not permitted","level":"error"}`, argv0: "/proc",
			want: `exec: "/proc": operation not permitted`, code: 126},
		{log: `{"level":"error","msg":"container_linux.go:380: starting container process caused: mount /x: no such file or directory"}`,
			want: `mount /x: no such file or directory`},
		{log: "{\"level\":\"warning\",\"msg\":\"cgroup\"}\n{\"level\":\"error\",\"msg\":\"first\"}\n{\"level\":\"error\",\"msg\":\"last\"}\n", want: "last"},
		{log: `{"level":"warning","msg":"only"}`, want: ""},
		{log: "not json\n", want: "not json"},
		{log: "{\n  \"msg\": \"over lines\",\n  \"level\": \"error\"\n}\n", want: "over lines"},
		{log: "{\"level\":\"error\",\"msg\":\"first\"}\nlast words\n", want: "last words"},
		{log: "", want: ""},
	} {
		got := clean(complaint([]byte(c.log)), c.argv0)
		if got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.log, got, c.want)
		}
		code := 0
		if command := commandError(got); command != nil {
			code = command.Code
		}
		if code != c.code {
			t.Errorf("%s: code %d, want %d", c.log, code, c.code)
		}
	}
}

// TestKillInsists: a program that goes on after its child was killed, as one does whose first child only tried the
// kernel, is ended all the same.
func TestKillInsists(t *testing.T) {
	p, err := Attach(t.Context(), exec.Command("/bin/sh", "-c", "sleep 300; sleep 300; sleep 300; true"), Attachment{})
	if err != nil {
		t.Fatal(err)
	}
	for len(children(p.child.Pid)) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		KillBelow(os.Getpid())
		t.Fatal("it goes on")
	}
	if code, err := p.Wait(); code != 137 || err != nil {
		t.Errorf("ended with %d, %v", code, err)
	}
}
