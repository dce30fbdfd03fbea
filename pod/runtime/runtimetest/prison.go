package runtimetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/runtime"
)

// advisory is a published way out of a container, tried again.
type advisory struct {
	id, about string
	// fixed has, by kind, the first version of a peer that holds; an older one is not expected to.
	fixed map[runtime.Kind]string
	// attack says what it got hold of, "" where the container held.
	attack func(f *fixture) string
}

// prison is the root file system of an attack and what it shall not reach.
type prison struct {
	*fixture
	// host is a directory outside, marker a file in it.
	host, marker string
	spec         *specs.Spec
}

const secret = "of the host"

// prison makes a root file system of its own, with the attack as its only program.
func (f *fixture) prison(argv ...string) *prison {
	f.Helper()
	dir := f.TempDir()
	p := &prison{fixture: f, host: filepath.Join(dir, "host")}
	p.marker = filepath.Join(p.host, "marker")
	root := filepath.Join(dir, "root")
	f.must(errors.Join(os.Mkdir(p.host, 0o755), os.Mkdir(root, 0o755), os.WriteFile(p.marker, []byte(secret), 0o644),
		os.Link(filepath.Join(f.rootfs, "attack"), filepath.Join(root, "attack"))))
	p.spec = f.spec(false, append([]string{"/attack"}, argv...))
	p.spec.Root.Path = root
	return p
}

// in is a path of the root file system as the host has it.
func (p *prison) in(path string) string { return filepath.Join(p.spec.Root.Path, path) }

func (p *prison) dir(path string) string {
	p.must(os.MkdirAll(p.in(path), 0o755))
	return p.in(path)
}

func (p *prison) link(to, at string) {
	p.must(os.MkdirAll(filepath.Dir(p.in(at)), 0o755))
	p.must(os.Symlink(to, p.in(at)))
}

func (p *prison) mount(target, kind, source string, options ...string) {
	if kind == "bind" {
		options = append(options, "bind")
	}
	p.spec.Mounts = append(p.spec.Mounts, specs.Mount{Destination: target, Type: kind, Source: source, Options: options})
}

// without leaves out the mounts at a target and below it.
func (p *prison) without(target string) {
	var kept []specs.Mount
	for _, m := range p.spec.Mounts {
		if m.Destination != target && !strings.HasPrefix(m.Destination, target+"/") {
			kept = append(kept, m)
		}
	}
	p.spec.Mounts = kept
}

// options writes the bundle.
func (p *prison) options() runtime.CreateOptions {
	p.Helper()
	o := p.bundle(p.spec.Process.Terminal, "/attack")
	text, err := json.Marshal(p.spec)
	p.must(err)
	p.must(os.WriteFile(filepath.Join(o.Bundle, "config.json"), text, 0o600))
	return o
}

// serve runs the container to its end and gives what it said; an error means that it was refused.
func (p *prison) serve() (string, error) {
	p.Helper()
	o, out := p.options(), p.pipe()
	o.Stdout = out.w
	made, err := p.r.Create(p.Context(), o)
	if err == nil {
		if made.Console != nil {
			defer made.Console.Close()
		}
		if err = p.r.Start(p.Context(), p.id); err == nil {
			if code := p.reap(made.PID).ExitStatus(); code != 0 {
				p.Logf("it ended with %d", code)
			}
		}
	}
	said := out.rest(p.fixture)
	if deleted := p.r.Delete(p.Context(), p.id, true); deleted != nil {
		p.Fatal(deleted)
	}
	p.Logf("said %q, %v", said, err)
	return said, err
}

// escaped is for an attack whose container must say nothing, or be refused.
func (p *prison) escaped() string {
	said, _ := p.serve() // refusing it is holding
	return strings.TrimSpace(said)
}

// touched says what came to lie in the host's directory.
func (p *prison) touched() string {
	var names []string
	entries, err := os.ReadDir(p.host)
	p.must(err)
	for _, e := range entries {
		if e.Name() != "marker" {
			names = append(names, e.Name())
		}
	}
	text, err := os.ReadFile(p.marker)
	if err != nil || string(text) != secret {
		names = append(names, fmt.Sprintf("marker with %q, %v", text, err))
	}
	if len(names) == 0 {
		return ""
	}
	return "the host's directory has " + strings.Join(names, ", ")
}

// leak opens a directory of the host as a careless caller might, to be inherited by everything; it returns the number.
func (f *fixture) leak(dir string) int {
	f.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	f.must(err)
	f.Cleanup(func() { unix.Close(fd) })
	return fd
}

// older says whether a version is below another: numbers, by dots.
func older(version, than string) bool {
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for i := range min(len(a), len(b)) {
		x, _ := strconv.Atoi(a[i])
		y, _ := strconv.Atoi(b[i])
		if x != y {
			return x < y
		}
	}
	return len(a) < len(b)
}

// versionOf is what a runtime program says of itself.
func versionOf(path string, kind runtime.Kind) string {
	if kind == runtime.BuiltIn {
		return "of this build"
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return ""
	}
	return regexp.MustCompile(`[0-9]+(\.[0-9]+)+`).FindString(string(out))
}
