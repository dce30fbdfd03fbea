package engine

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/runtime"
)

// TestAnonymous: which paths get a volume without a name, and whose.
func TestAnonymous(t *testing.T) {
	volume := func(source, target string) pod.Mount {
		return pod.Mount{Type: pod.MountVolume, Source: source, Target: target}
	}
	for name, test := range map[string]struct {
		mounts []pod.Mount
		image  []string
		reuse  map[string]string
		want   []string // "/path" is a fresh one, "/path=name" that name
	}{
		"nothing":           {want: nil},
		"of the image":      {image: []string{"/data"}, want: []string{"/data"}},
		"of the file":       {mounts: []pod.Mount{volume("", "/a")}, want: []string{"/a"}},
		"of the kernel":     {image: []string{"/dev", "/proc/self/fd", "/sys/fs/cgroup/", "/", "/device"}, want: []string{"/device"}},
		"on purpose":        {mounts: []pod.Mount{volume("", "/dev")}, image: []string{"/dev"}, want: []string{"/dev"}},
		"named":             {mounts: []pod.Mount{volume("v", "/data")}, image: []string{"/data"}, want: nil},
		"bound":             {mounts: []pod.Mount{{Type: pod.MountBind, Source: "/x", Target: "/data"}}, image: []string{"/data"}, want: nil},
		"both":              {mounts: []pod.Mount{volume("", "/data")}, image: []string{"/data"}, want: []string{"/data"}},
		"taken over":        {image: []string{"/data", "/new"}, reuse: map[string]string{"/data": "old"}, want: []string{"/data=old", "/new"}},
		"no longer wanted":  {reuse: map[string]string{"/data": "old"}, want: nil},
		"tmpfs has no name": {mounts: []pod.Mount{{Type: pod.MountTmpfs, Target: "/t"}}, want: nil},
	} {
		got := anonymous(test.mounts, image.RunConfig{Volumes: test.image}, test.reuse)
		var words []string
		for _, path := range slices.Sorted(maps.Keys(got)) {
			if len(got[path]) == 64 {
				words = append(words, path)
			} else {
				words = append(words, path+"="+got[path])
			}
		}
		if !slices.Equal(words, test.want) {
			t.Errorf("%s: %q, want %q", name, words, test.want)
		}
	}
}

// TestEffective: the image decides where the file is silent, and no secret is told twice.
func TestEffective(t *testing.T) {
	check := &pod.Health{Test: []string{"CMD", "a"}, Interval: time.Second}
	config := image.RunConfig{StopSignal: "SIGQUIT", Healthcheck: check}
	got := effective(pod.Container{Env: map[string]string{"A": "b"}, Files: []pod.File{{Target: "/x"}}}, config)
	if want := (pod.Container{Stop: pod.Stop{Signal: "SIGQUIT"}, Health: check}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	times := pod.Container{Stop: pod.Stop{Signal: "SIGINT"}, Health: &pod.Health{Retries: 5}}
	got = effective(times, config)
	if got.Stop.Signal != "SIGINT" || got.Health.Retries != 5 || got.Health.Interval != 0 || !slices.Equal(got.Health.Test, check.Test) {
		t.Errorf("%+v, %+v", got, got.Health)
	}
	if times.Health.Test != nil {
		t.Error("the file's own health check was changed")
	}
	none := &pod.Health{Test: []string{"NONE"}}
	if got := effective(pod.Container{Health: none}, config); got.Health != none {
		t.Errorf("%+v", got.Health)
	}
	if got := effective(pod.Container{}, image.RunConfig{}); got.Health != nil || got.Stop.Signal != "" {
		t.Errorf("%+v", got)
	}
}

func TestProbeArgv(t *testing.T) {
	for want, test := range map[string][]string{
		"a|b c":               {"CMD", "a", "b c"},
		"/bin/sh|-c|a | b":    {"CMD-SHELL", "a | b"},
		"curl|localhost":      {"curl", "localhost"},
		"/bin/sh|-c|one line": {"CMD-SHELL", "one", "line"},
	} {
		if got := strings.Join(probeArgv(test), "|"); got != want {
			t.Errorf("%q: %q, want %q", test, got, want)
		}
	}
}

func TestCapabilities(t *testing.T) {
	c, err := capabilities()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range c.bounding {
		if !strings.HasPrefix(name, "CAP_") || strings.ToUpper(name) != name {
			t.Errorf("capability %q", name)
		}
	}
	if os.Geteuid() == 0 && len(c.bounding) == 0 {
		t.Error("root has no bounding set")
	}
	set := capset{bits: 1<<unix.CAP_CHOWN | 1<<unix.CAP_SYS_RESOURCE}
	if !set.effective(unix.CAP_CHOWN) || !set.effective(unix.CAP_SYS_RESOURCE) || set.effective(unix.CAP_KILL) {
		t.Errorf("%b", set.bits)
	}
}

func TestWords(t *testing.T) {
	for device, want := range map[int64]string{
		0: "?", 4 << 8: "?", 136 << 8: "pts/0", 136<<8 | 7: "pts/7", 137<<8 | 1: "pts/257", 143<<8 | 255: "pts/2047", 144 << 8: "?",
		136<<8 | 1<<20: "pts/256",
	} {
		if got := terminalName(device); got != want {
			t.Errorf("terminal %#x: %q, want %q", device, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "00:00:00", 59*time.Second + 999*time.Millisecond: "00:00:59", time.Hour + 2*time.Minute + 3*time.Second: "01:02:03", 100 * time.Hour: "100:00:00",
	} {
		if got := hms(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	now := time.Date(2020, 5, 6, 7, 8, 9, 0, time.UTC)
	if a, b := startTime(now.Add(-time.Hour), now), startTime(now.Add(-48*time.Hour), now); a != "06:08" || b != "May04" {
		t.Errorf("%q, %q", a, b)
	}
}

func TestSame(t *testing.T) {
	at := time.Now()
	a := pod.Run{State: pod.StateRunning, PID: 3, StartedAt: at, Probes: []pod.Probe{{ExitCode: 1}}, FailingStreak: 1}
	b := a
	b.Probes, b.FailingStreak, b.StartedAt = nil, 0, at.UTC()
	if !same(a, b) {
		t.Error("probes make a difference")
	}
	for name, change := range map[string]func(*pod.Run){
		"state": func(r *pod.Run) { r.State = pod.StateExited }, "pid": func(r *pod.Run) { r.PID = 4 },
		"health": func(r *pod.Run) { r.Health = pod.HealthHealthy }, "exit code": func(r *pod.Run) { r.ExitCode = 1 },
		"restarts": func(r *pod.Run) { r.Restarts = 1 }, "error": func(r *pod.Run) { r.Error = "x" },
		"start": func(r *pod.Run) { r.StartedAt = at.Add(1) },
	} {
		b := a
		if change(&b); same(a, b) {
			t.Errorf("%s makes no difference", name)
		}
	}
}

func TestMountsVolume(t *testing.T) {
	r := state.Record{Anonymous: map[string]string{"/a": "anon"}}
	r.Container.Mounts = []pod.Mount{{Type: pod.MountVolume, Source: "data", Target: "/d"}}
	for name, want := range map[string]bool{"anon": true, "data": true, "/a": false, "": false, "other": false} {
		if got := mountsVolume(r, name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// TestFilterFile: a compiled filter is used as it is; one that a power cut left is removed and made again.
func TestFilterFile(t *testing.T) {
	dir := t.TempDir()
	crun := filepath.Join(dir, "crun")
	if err := os.WriteFile(crun, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	e, err := Open(Config{Root: dir, RunRoot: dir, Runtime: crun})
	if err != nil {
		t.Fatal(err)
	}
	spec := func() *specs.Spec {
		return &specs.Spec{Linux: &specs.Linux{Seccomp: &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}}}
	}
	if program, kind, err := e.runtime(); program != crun || err != nil {
		t.Fatalf("the runtime is %q, a %s: %v", program, kind, err)
	}
	path, err := e.filter(spec())
	if err != nil || !strings.HasPrefix(path, filepath.Join(dir, "filters")) {
		t.Fatalf("%q, %v", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	load, ret := []byte{0x20, 0, 0, 0, 4, 0, 0, 0}, []byte{0x06, 0, 0, 0, 0, 0, 0xff, 0x7f}
	for name, test := range map[string]struct {
		content []byte
		good    bool
	}{
		"whole": {append(bytes.Clone(load), ret...), true}, "empty": {nil, false}, "zeros": {make([]byte, 160), false},
		"torn": {append(bytes.Clone(load), ret[:5]...), false}, "cut": {load, false}, "text": {[]byte("hello world, this is"), false},
		"too long": {bytes.Repeat(ret, 4097), false},
	} {
		if err := os.WriteFile(path, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		s := spec()
		again, err := e.filter(s)
		_, statErr := os.Stat(path)
		if err != nil || again != path || (s.Annotations[runtime.FilterAnnotation] != "") != test.good || (statErr == nil) != test.good {
			t.Errorf("%s: %q, %v, %v, %v", name, again, err, s.Annotations, statErr)
		}
	}
	other := spec()
	other.Linux.Seccomp.DefaultAction = specs.ActAllow
	if p, _ := e.filter(other); p == path {
		t.Error("two profiles share a filter")
	}
	if p, _ := e.filter(&specs.Spec{Linux: &specs.Linux{}}); p != "" {
		t.Errorf("no profile, filter %q", p)
	}
}
