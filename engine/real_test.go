package engine

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/runtime"
)

// TestDoTwice: every action may be done again, and a life from nothing to nothing leaves nothing.
func TestDoTwice(t *testing.T) {
	m := newMachine(t)
	if s := m.observe(); s.Spec != nil || s.Up || len(s.Containers) > 0 {
		t.Errorf("of nothing, %+v is observed", s)
	}
	web := container("web")
	web.Mounts = []pod.Mount{{Type: pod.MountVolume, Source: "pctdata", Target: "/named"}}
	web.Health = &pod.Health{Test: []string{"CMD", "/probe", "check"}, Interval: 10e6, Timeout: 20e9}
	m.up(web)
	m.do(planner.WaitContainer{Name: "web", Until: pod.UntilHealthy, Required: true}, 2)
	c := m.container("web")
	if c.Run.State != pod.StateRunning || c.Run.PID == 0 || len(c.Anonymous) != 1 || !slices.Equal(c.Argv, []string{"/probe"}) {
		t.Errorf("%+v", c)
	}
	if s := m.observe(); !s.Up || s.Supervisor == 0 || !slices.Equal(s.Volumes, []string(nil)) {
		t.Errorf("%+v", s)
	}
	top, err := m.project.Top(t.Context(), "web")
	if err != nil || len(top) != 1 || top[0].PID != c.Run.PID || !strings.HasSuffix(top[0].Cmd, "/probe") {
		t.Errorf("%+v, %v", top, err)
	}
	web.Restart.Policy = pod.RestartAlways
	m.do(planner.UpdateContainer{Container: web}, 2)
	m.do(planner.StopContainer{Name: "web", Grace: 20e9}, 2)
	if c := m.container("web"); c.Run.State != pod.StateExited || c.Run.ExitCode != 7 || c.Restart.Policy != pod.RestartAlways {
		t.Errorf("%+v", c)
	}
	if code, err := m.project.Wait(t.Context(), "web"); code != 7 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	if err := m.project.Do(t.Context(), planner.RemoveVolume{Name: "pctdata"}, nil); err == nil || !strings.Contains(err.Error(), "web") {
		t.Errorf("a volume in use is removed: %v", err)
	}
	if err := m.project.Do(t.Context(), planner.StartContainer{Name: "nosuch"}, nil); err == nil || !strings.Contains(err.Error(), `no container named "nosuch"`) {
		t.Errorf("%v", err)
	}
	m.down(web)
	m.do(planner.RemoveImage{Image: probeImage}, 2)
	m.wantNothing()
}

// TestFilterIsUsed: the second container gets the filter that the first one's start compiled, and is under it.
func TestFilterIsUsed(t *testing.T) {
	m := newMachine(t)
	if _, kind, _ := m.e.runtime(); kind != runtime.Crun {
		t.Skip("SKIPPED: only crun takes a compiled filter")
	}
	first, second := container("first"), container("second")
	m.up(first, second)
	for name, kept := range map[string]bool{"first": false, "second": true} {
		config, err := os.ReadFile(filepath.Join(m.e.state.BundleDir("pcttest", m.container(name).ID), "config.json"))
		m.must(err)
		if strings.Contains(string(config), runtime.FilterAnnotation) != kept {
			t.Errorf("%s: has the compiled filter: %v", name, !kept)
		}
		if said := m.said(name, "ready"); said[0] != "Seccomp: 2" {
			t.Errorf("%s: %q", name, said)
		}
	}
	m.down(first, second)
	m.wantNothing()
}

// kill ends the pod's processes by hand, keeper first.
func (m *machine) kill(also ...int) {
	m.Helper()
	supervisor := m.observe().Supervisor
	pid, _ := keeper.Find(m.e.state.RunDir("pcttest"))
	for _, p := range append([]int{pid, supervisor}, also...) {
		fd, err := unix.PidfdOpen(p, 0)
		if err != nil {
			continue // it has ended with the one before
		}
		_ = syscall.Kill(p, syscall.SIGKILL) // as above
		waitProcess(m.Context(), fd)
		unix.Close(fd)
	}
}

// TestKilledByHand: a dead pod is seen as it is, with and without living containers, and is removed without a trace.
func TestKilledByHand(t *testing.T) {
	m := newMachine(t)
	web, db := container("web"), container("db")
	m.up(web, db)
	lives := m.container("web").Run.PID
	m.kill(m.container("db").Run.PID)
	s := m.observe()
	if s.Up || s.Supervisor != 0 {
		t.Errorf("%+v", s)
	}
	if c, _ := s.Container("web"); c.Run.State != pod.StateRunning || c.Run.PID != lives {
		t.Errorf("it lives: %+v", c.Run)
	}
	// A new keeper adopts the one, and invents no end of the other.
	m.do(planner.CreateSandbox{Topology: pod.Topology{Cells: []pod.Cell{{Name: pod.DefaultCell}}}}, 1)
	if c := m.container("web"); c.Run.State != pod.StateRunning || c.Run.PID != lives {
		t.Errorf("it is adopted: %+v", c.Run)
	}
	if code, err := m.project.Wait(t.Context(), "db"); code != pod.UnknownExit && code != 137 || err != nil { // known where nobody has reaped it yet
		t.Errorf("%d, %v", code, err)
	}
	m.kill()
	m.down(web, db)
	m.wantNothing()

	m.up(web)
	m.kill(m.container("web").Run.PID)
	m.down(web)
	m.wantNothing()
}

// TestHalfMade: what a killed command left of a container is seen, finished or removed.
func TestHalfMade(t *testing.T) {
	m := newMachine(t)
	web := container("web")
	half := func() {
		m.must(m.project.edit(func(s *state.Project) {
			s.Containers["web"] = state.Record{ID: newID(), Container: web, ImageID: m.image(), Argv: []string{"/probe"}}
		}))
		if c := m.container("web"); c.Run.State != pod.StatePartial {
			t.Errorf("%+v", c.Run)
		}
	}
	half()
	m.up(web) // finishes it
	if c := m.container("web"); c.Run.State != pod.StateRunning {
		t.Errorf("%+v", c.Run)
	}
	m.down(web)
	m.wantNothing()
	half()
	m.down(web)
	m.wantNothing()
}

func (m *machine) image() string {
	store, err := m.e.store()
	m.must(err)
	img, err := store.Lookup(probeImage)
	m.must(err)
	return img.ID
}

// TestDamagedState: a project file that cannot be read is an error that names it, never an empty project.
func TestDamagedState(t *testing.T) {
	e, err := Open(Config{Root: t.TempDir(), RunRoot: t.TempDir()})
	fatal(t, err)
	fatal(t, os.MkdirAll(e.state.Dir("shop"), 0o700))
	file := filepath.Join(e.state.Dir("shop"), "project.json")
	fatal(t, os.WriteFile(file, []byte(`{"Version": 1, "Spec"`), 0o600))
	if _, err := e.Observe(t.Context(), "shop", nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("%v", err)
	}
	if _, err := e.Projects(t.Context()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("%v", err)
	}
	// It frees no volume: who knows what it mounts.
	if users := volumeUsers(e.state, "data"); len(users) != 1 {
		t.Errorf("%q", users)
	}
	if err := e.Project("shop").Do(context.Background(), planner.StartContainer{Name: "web"}, func(execute.Progress) {}); err == nil {
		t.Error("a container of a damaged project starts")
	}
}
