package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

const probeImage = "localhost/pct/probe:1"

// machine is an engine with roots and an image store of its own; the store has the probe's image.
type machine struct {
	*testing.T
	e         *Engine
	root, run string
	project   *Project
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Getenv(insideVar) == "" {
		t.Skip("SKIPPED: needs root")
	}
	m := &machine{T: t}
	archive := probeArchive(t) // before HOME changes, and with it the compiler's cache
	var err error
	m.root, err = os.MkdirTemp("/var/tmp", "pct") // overlay on overlay, or on a tmpfs, does not work everywhere
	m.must(err)
	m.run, err = os.MkdirTemp("/run", "pct")
	m.must(err)
	conf := "[storage]\ndriver = \"overlay\"\ngraphroot = \"" + m.root + "/graph\"\nrunroot = \"" + m.run + "/graph\"\n"
	m.must(os.WriteFile(filepath.Join(m.root, "storage.conf"), []byte(conf), 0o600))
	t.Setenv("CONTAINERS_STORAGE_CONF", filepath.Join(m.root, "storage.conf"))
	t.Setenv("HOME", m.root)
	m.e = m.open()
	t.Cleanup(func() {
		if store, err := m.e.store(); err == nil {
			_, _ = store.Storage().Shutdown(true) // the first unmounts and says what was mounted
			if _, err := store.Storage().Shutdown(true); err != nil {
				t.Error(err)
			}
		}
		if err := os.RemoveAll(m.root); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(m.run); err != nil {
			t.Error(err)
		}
	})
	if _, _, err := m.e.runtime(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	store, err := m.e.Images()
	if err != nil {
		t.Skipf("SKIPPED: no image store on /var/tmp: %v", err)
	}
	_, err = store.Load(t.Context(), archive)
	m.must(err)
	m.project = m.e.Project("pcttest")
	return m
}

// open is a further command's engine.
func (m *machine) open() *Engine {
	e, err := Open(Config{Root: filepath.Join(m.root, "state"), RunRoot: filepath.Join(m.run, "pods")})
	m.must(err)
	return e
}

func (m *machine) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

// probeArchive is an image from scratch with the probe as its only file, as `docker save` writes it.
func probeArchive(t *testing.T) io.Reader {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("SKIPPED: the image's program has to be compiled: no go in PATH")
	}
	path := filepath.Join(t.TempDir(), "probe")
	cmd := exec.Command("go", "build", "-o", path, "testdata/probe.go")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the probe: %v\n%s", err, out)
	}
	program, err := os.ReadFile(path)
	fatal(t, err)
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	fatal(t, w.WriteHeader(&tar.Header{Name: "probe", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}))
	_, err = w.Write(program)
	fatal(t, err)
	fatal(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	fatal(t, err)
	img, err := mutate.AppendLayers(empty.Image, layer)
	fatal(t, err)
	file, err := img.ConfigFile()
	fatal(t, err)
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", goruntime.GOARCH
	file.Config = v1.Config{Entrypoint: []string{"/probe"}, Volumes: map[string]struct{}{"/data": {}}}
	img, err = mutate.ConfigFile(img, file)
	fatal(t, err)
	tag, err := name.NewTag(probeImage)
	fatal(t, err)
	var archive bytes.Buffer
	fatal(t, tarball.Write(tag, img, &archive))
	return &archive
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// do does an action as often as a command that was killed and repeated would.
func (m *machine) do(a planner.Action, times int) {
	m.Helper()
	for i := range times {
		if err := m.project.Do(m.Context(), a, func(execute.Progress) {}); err != nil {
			m.Fatalf("%T, time %d: %v", a, i+1, err)
		}
	}
}

func container(name string) pod.Container {
	return pod.Container{Name: name, Service: name, Replica: 1, Cell: pod.DefaultCell, Image: probeImage}
}

// up brings a pod of these containers up, each action done twice.
func (m *machine) up(containers ...pod.Container) {
	m.Helper()
	cells := []pod.Cell{{Name: pod.DefaultCell}}
	m.must(m.project.Remember(context.Background(), pod.Spec{Name: "pcttest", Cells: cells, Containers: containers}))
	m.do(planner.CreateVolume{Volume: pod.Volume{Name: "pctdata"}}, 2)
	m.do(planner.CreateSandbox{Topology: pod.Topology{Cells: cells}}, 2)
	for _, c := range containers {
		m.do(planner.CreateContainer{Container: c}, 2)
		m.do(planner.StartContainer{Name: c.Name}, 2)
	}
}

// down removes it, each action done twice.
func (m *machine) down(containers ...pod.Container) {
	m.Helper()
	for _, c := range containers {
		m.do(planner.RemoveContainer{Name: c.Name, Volumes: true}, 2)
	}
	m.do(planner.RemoveSandbox{}, 2)
	m.do(planner.RemoveVolume{Name: "pctdata"}, 2)
	m.project = m.e.Project("pcttest") // the next command's
}

func (m *machine) observe() pod.Status {
	m.Helper()
	s, err := m.e.Observe(m.Context(), "pcttest", nil)
	m.must(err)
	return s
}

func (m *machine) container(name string) pod.ContainerStatus {
	m.Helper()
	c, ok := m.observe().Container(name)
	if !ok {
		m.Fatalf("there is no container %q", name)
	}
	return c
}

// said follows a container's log to a line, and gives all before it.
func (m *machine) said(container, line string) (all []string) {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), 20*time.Second)
	defer cancel()
	_ = m.project.Logs(ctx, container, logs.ReadOptions{Tail: -1, Follow: true}, func(l logs.Line) error {
		all = append(all, string(l.Text))
		if string(l.Text) == line {
			return io.EOF
		}
		return nil
	})
	if len(all) == 0 || all[len(all)-1] != line {
		m.Fatalf("container %s says %q", container, all)
	}
	return all
}

// wantNothing: nothing of the pod is left on the machine.
func (m *machine) wantNothing() {
	m.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	m.must(err)
	for line := range strings.Lines(string(mounts)) {
		at := strings.Fields(line)[4]
		inside := strings.HasPrefix(at, m.run) || strings.HasPrefix(at, m.root)
		if inside && !strings.HasSuffix(at, "/overlay") { // the store's own
			m.Errorf("mount %s is left", at)
		}
	}
	id := m.e.podID("pcttest")
	for name, args := range map[string][]string{"links": {"ip", "-o", "link"}, "rules": {"nft", "list", "ruleset"}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			m.Logf("SKIPPED: %s are not looked at: %v", name, err)
		}
		if strings.Contains(string(out), id) {
			m.Errorf("%s are left:\n%s", name, out)
		}
	}
	for _, pattern := range []string{
		"/sys/fs/cgroup/*" + id, "/sys/fs/cgroup/*/*" + id, filepath.Join(m.e.state.Dir("pcttest"), "*"),
		filepath.Join(m.e.state.RunDir("pcttest"), "*"), filepath.Join(m.root, "state", "volumes", "*"),
	} {
		if left, _ := filepath.Glob(pattern); len(left) > 0 {
			m.Errorf("left: %q", left)
		}
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range processes {
		if text, _ := os.ReadFile(path); bytes.Contains(text, []byte(m.run)) {
			m.Errorf("%s is left: %q", filepath.Dir(path), text)
		}
	}
	store, err := m.e.store()
	m.must(err)
	roots, err := store.Storage().Containers()
	m.must(err)
	if len(roots) > 0 {
		m.Errorf("%d root filesystems are left", len(roots))
	}
}
