package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

const (
	scriptDir = "../../testdata/script"
	leftovers = "../../testdata/leftovers.sh"
)

// TestScript runs testdata/script: pcompose as a user runs it, on real containers, with images of the lab.
//
// Each script has a state root, a run root and a project of its own; images are in one store of the suite, apart from
// the machine's. When a script ends, its project is taken down and nothing of it may be left.
func TestScript(t *testing.T) {
	binary := os.Getenv("PCT_E2E")
	if binary == "" {
		t.Skip("PCT_E2E does not name a pcompose binary: make e2e builds one and runs this")
	}
	w, err := findWorld()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 && !w.user {
		t.Skip("script tests of this world start containers as root: run as root, or with PCT_WORLD=user")
	}
	if os.Getenv("PCT_REGISTRY") == "" {
		t.Skip("PCT_REGISTRY names no registry of the lab: run under `lab run`, as make e2e does")
	}
	s, err := newSuite(t, binary, w)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           scriptDir,
		WorkdirRoot:   filepath.Join(s.dir, "work"),
		Setup:         s.setup,
		Cmds:          scriptCommands(s),
		Condition:     w.condition,
		UpdateScripts: os.Getenv("PCT_GOLDEN") != "",
	})
}

// suite is what the scripts share.
type suite struct {
	// dir has the work folders and the image store; runDir, of a path short enough for sockets, the run roots.
	dir, runDir string
	// binary is the program, command what scripts call pcompose by.
	binary, command string
	world           world

	// alone is held for writing by scripts that look at the whole machine, for reading by all others.
	alone sync.RWMutex

	mu    sync.Mutex
	runs  int
	ports map[int]bool
}

func newSuite(t *testing.T, binary string, w world) (*suite, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	dir, run := os.Getenv(userDirVar), "/run"
	if w.user {
		run = os.Getenv("XDG_RUNTIME_DIR")
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("/var/tmp", "pct-e2e-"); err != nil {
			return nil, err
		}
	}
	runDir, err := os.MkdirTemp(run, "pct-")
	if err != nil {
		return nil, err
	}
	s := &suite{dir: dir, runDir: runDir, binary: binary, world: w, ports: map[int]bool{}}
	t.Cleanup(func() {
		s.checkStore(t)
		// containers-storage keeps a private mount on its overlay folder.
		_ = unix.Unmount(filepath.Join(dir, "storage", "overlay"), unix.MNT_DETACH)
		if os.Getenv("PCT_KEEP") != "" {
			t.Logf("kept: %s and %s", dir, runDir)
			return
		}
		for _, d := range []string{dir, runDir} {
			if d == os.Getenv(userDirVar) {
				continue // who started us removes it
			}
			if err := os.RemoveAll(d); err != nil {
				t.Error(err)
			}
		}
	})
	if err := os.MkdirAll(filepath.Join(dir, "work"), 0o755); err != nil {
		return nil, err
	}
	if s.command, err = w.shim(binary); err != nil {
		return nil, err
	}
	return s, s.prepareStore()
}

// prepareStore pulls what most scripts use, so that none of them waits for it, or for another's pull.
func (s *suite) prepareStore() error {
	if err := s.storageConf(filepath.Join(s.dir, "storage.conf"), filepath.Join(s.dir, "storage")); err != nil {
		return err
	}
	pull := exec.Command(s.command, "image", "pull", "-q", "busybox")
	pull.Env = append(os.Environ(), s.environment("storage", "image")...)
	if out, err := pull.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot pull busybox: %w\n%s", err, out)
	}
	return nil
}

// storageConf writes a storage.conf for a store at graphRoot.
func (s *suite) storageConf(file, graphRoot string) error {
	s.mu.Lock()
	s.runs++
	runRoot := filepath.Join(s.runDir, "store"+strconv.Itoa(s.runs))
	s.mu.Unlock()
	conf := fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n", graphRoot, runRoot)
	return os.WriteFile(file, []byte(conf), 0o644)
}

// environment points pcompose at places of the suite; work and run are folders' names in them.
func (s *suite) environment(work, run string) []string {
	return []string{
		"PCOMPOSE_ROOT=" + filepath.Join(s.dir, work, ".pcompose"),
		"PCOMPOSE_RUNROOT=" + filepath.Join(s.runDir, run),
		"CONTAINERS_STORAGE_CONF=" + filepath.Join(s.dir, "storage.conf"),
	}
}

// setup gives a script its roots, project and ports, and has them checked when it ends.
func (s *suite) setup(env *testscript.Env) error {
	name := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
	script, err := os.ReadFile(filepath.Join(scriptDir, name+".txtar"))
	if err != nil {
		return err
	}
	if strings.Contains(string(script), "\nsnapshot\n") {
		s.alone.Lock()
		env.Defer(s.alone.Unlock)
	} else {
		s.alone.RLock()
		env.Defer(s.alone.RUnlock)
	}
	s.mu.Lock()
	s.runs++
	run := strconv.Itoa(s.runs)
	s.mu.Unlock()
	env.Vars = append(env.Vars, s.environment(filepath.Join("work", filepath.Base(env.WorkDir)), run)...)
	env.Setenv("PATH", filepath.Dir(s.command)+":"+os.Getenv("PATH"))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("PROJECT", "pct-"+name)
	env.Setenv("COMPOSE_PROJECT_NAME", "pct-"+name)
	for _, v := range []string{"CONTAINERS_REGISTRIES_CONF", "PCT_REGISTRY", "PCT_CACHE", "PCOMPOSE_NETWORK_CMD"} {
		env.Setenv(v, os.Getenv(v))
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		return err
	}
	env.Setenv("EXAMPLES", examples)
	env.Setenv("PCOMPOSE", s.command)
	// Examples that are built find what is there already: HOME is another one.
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		return fmt.Errorf("cannot ask go for its caches: %w", err)
	}
	for i, dir := range strings.Fields(string(caches)) {
		env.Setenv([]string{"GOCACHE", "GOMODCACHE"}[i], dir)
	}
	for _, v := range []string{"PORT", "PORT2", "PORT3"} {
		port, err := s.freePort()
		if err != nil {
			return err
		}
		env.Setenv(v, strconv.Itoa(port))
	}
	env.Defer(func() { s.checkEmpty(env) })
	return nil
}

// freePort finds a port that nobody listens on and no script was given before.
func (s *suite) freePort() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 100 {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return 0, err
		}
		if !s.ports[port] {
			s.ports[port] = true
			return port, nil
		}
	}
	return 0, errors.New("cannot find a free port")
}
