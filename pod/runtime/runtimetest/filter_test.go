package runtimetest

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/seccomp"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/runtime"
	"github.com/pcompose/pcompose/pod/runtime/builtin"
)

// TestBuiltInFilter: whoever compiled it and whenever, the filter holds in the first process and in every other, from before
// their commands begin.
func TestBuiltInFilter(t *testing.T) {
	_, _, open := program(t, string(runtime.BuiltIn))
	if !builtin.Seccomp {
		t.Skip("SKIPPED: the test was built without the tag seccomp, and libseccomp")
	}
	subreaper(t)
	rootfs := buildRoot(t)
	t.Cleanup(removeCgroups)
	kept := filepath.Join(t.TempDir(), "kept.bpf")
	for _, c := range []struct {
		name    string
		change  func(*specs.Spec)
		filters string
	}{
		{"compiled here", func(*specs.Spec) {}, "2"},
		{"compiled before", func(s *specs.Spec) {
			text, err := os.ReadFile(kept)
			if err != nil {
				t.Fatal(err)
			}
			// The profile itself is not read: it would allow the call.
			s.Linux.Seccomp.Syscalls[0].Names = append(s.Linux.Seccomp.Syscalls[0].Names, "sethostname")
			s.Annotations = map[string]string{runtime.FilterAnnotation: base64.StdEncoding.EncodeToString(text)}
		}, "2"},
		{"no new privileges", func(s *specs.Spec) { s.Process.NoNewPrivileges = true }, "2"},
		{"compiled by libcontainer", func(s *specs.Spec) { s.Linux.Seccomp.DefaultErrnoRet = nil }, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fixture{T: t, r: open(t), rootfs: rootfs, id: "pct-filter"}
			p := f.prison("filter")
			p.spec.Linux.Seccomp = ordinary()
			c.change(p.spec)
			o, out := p.options(), f.pipe()
			o.Stdout, o.Filter = out.w, kept
			_, err := f.r.Create(f.Context(), o)
			f.must(err)
			f.must(f.r.Start(f.Context(), f.id))
			want := "filters " + c.filters + ", sethostname: operation not permitted"
			if line := out.line(f); line != want {
				t.Errorf("the first process says %q, want %q", line, want)
			}
			said := f.pipe()
			process := process(false, "/attack", "filter", "once")
			process.NoNewPrivileges = p.spec.Process.NoNewPrivileges
			e, err := f.r.Exec(f.Context(), runtime.ExecOptions{ID: f.id, Process: process, Stdout: said.w})
			f.must(err)
			f.wait(e)
			if text := strings.TrimSpace(said.rest(f)); text != want {
				t.Errorf("a further process says %q, want %q", text, want)
			}
		})
	}
	t.Run("no program", func(t *testing.T) {
		f := &fixture{T: t, r: open(t), rootfs: rootfs, id: "pct-filter"}
		p := f.prison("nothing")
		p.spec.Linux.Seccomp = ordinary()
		p.spec.Annotations = map[string]string{runtime.FilterAnnotation: base64.StdEncoding.EncodeToString(make([]byte, 16))}
		_, err := f.r.Create(f.Context(), p.options())
		f.wantError(err, nil, "cannot install system call filter")
	})
}

// TestBuiltInFilterMissing: a further process that runs without the carried filter is ended, however it came to that. Here
// libcontainer is told that the name which carries the filter changes nothing, so that it does not look it up.
func TestBuiltInFilterMissing(t *testing.T) {
	path, _, _ := program(t, string(runtime.BuiltIn))
	if !builtin.Seccomp {
		t.Skip("SKIPPED: the test was built without the tag seccomp, and libseccomp")
	}
	subreaper(t)
	dir, err := os.MkdirTemp("", "pct")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r, err := runtime.New(runtime.Config{Path: path, Kind: runtime.BuiltIn, Root: filepath.Join(dir, "root"), Scratch: filepath.Join(dir, "calls"), Begin: builtin.Start})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, r: r, rootfs: buildRoot(t), id: "pct-filter"}
	t.Cleanup(removeCgroups)
	p := f.prison("filter")
	p.spec.Linux.Seccomp = ordinary()
	_, err = f.r.Create(f.Context(), p.options())
	f.must(err)
	f.must(f.r.Start(f.Context(), f.id))
	file := filepath.Join(dir, "root", f.id, "state.json")
	text, err := os.ReadFile(file)
	f.must(err)
	state := map[string]any{}
	f.must(json.Unmarshal(text, &state))
	filter := state["config"].(map[string]any)["seccomp"].(map[string]any)
	for _, call := range filter["syscalls"].([]any) {
		call.(map[string]any)["action"] = filter["default_action"]
		delete(call.(map[string]any), "errnoRet")
	}
	text, err = json.Marshal(state)
	f.must(err)
	f.must(os.WriteFile(file, text, 0o600))
	// By itself it does not end.
	e, err := f.r.Exec(f.Context(), runtime.ExecOptions{ID: f.id, Process: process(false, "/attack", "filter")})
	f.must(err)
	_, err = e.Wait()
	f.wantError(err, nil, "1 system call filters, not 2")
}

// ordinary is podman's default profile as far as it asks for nothing of the machine, with one call refused for sure.
func ordinary() *specs.LinuxSeccomp {
	enosys, eperm := uint(unix.ENOSYS), uint(unix.EPERM)
	out := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: &enosys, Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}}
	for _, call := range seccomp.DefaultProfile().Syscalls {
		if call.Action == seccomp.ActAllow && len(call.Args) == 0 && len(call.Includes.Caps) == 0 && len(call.Includes.Arches) == 0 {
			out.Syscalls = append(out.Syscalls, specs.LinuxSyscall{Names: slices.Clone(call.Names), Action: specs.ActAllow})
		}
	}
	out.Syscalls = append(out.Syscalls, specs.LinuxSyscall{Names: []string{"clone", "arch_prctl"}, Action: specs.ActAllow},
		specs.LinuxSyscall{Names: []string{"sethostname"}, Action: specs.ActErrno, ErrnoRet: &eperm})
	return out
}
