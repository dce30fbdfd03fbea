package runtimetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/runtime"
)

// advisories are those of a container's start: what of the host is in reach, and where mounts and writes end up.
func advisories() []advisory {
	return []advisory{
		{id: "CVE-2024-21626", about: "an inherited directory of the host as working directory", attack: leakedWorkingDirectory},
		{id: "CVE-2024-21626 exec", about: "the same of a further process", attack: leakedExecDirectory},
		{id: "CVE-2019-5736", about: "the runtime's program overwritten through /proc", attack: overwrittenProgram},
		{id: "CVE-2016-9962", about: "files of a process that enters, seen from inside", attack: seenFiles},
		{id: "CVE-2025-31133", about: "a masked path that shows what /dev/null leads to", attack: maskedByLink,
			fixed: map[runtime.Kind]string{runtime.Runc: "1.2.8"}},
		{id: "CVE-2025-52565", about: "the terminal mounted where /dev/console leads to", attack: consoleLink},
		{id: "CVE-2025-52881", about: "a sysctl written where a false /proc leads to", attack: redirectedWrite},
		{id: "CVE-2026-41579", about: "devices made where /dev leads to", attack: deviceLink,
			fixed: map[runtime.Kind]string{runtime.Runc: "1.3.6", runtime.Crun: "1.28"}},
		{id: "CVE-2021-30465", about: "a mount where a link leads to, changed at the last moment", attack: swappedTarget},
		{id: "CVE-2019-19921", about: "a false /proc by a link in the image", attack: linkedProc},
		{id: "CVE-2023-27561", about: "a false /sys by a link in the image", attack: linkedSys},
		{id: "CVE-2023-28642", about: "a false /proc by a link to a volume", attack: procInVolume},
	}
}

func leakedWorkingDirectory(f *fixture) string {
	fd := f.leak("/")
	for n := 3; n < max(fd, 12)+2; n++ {
		p := f.prison("climb")
		p.spec.Process.Args = append(p.spec.Process.Args, p.marker)
		p.spec.Process.Cwd = fmt.Sprintf("/proc/self/fd/%d", n)
		if got := p.escaped(); got != "" {
			return got
		}
	}
	return ""
}

func leakedExecDirectory(f *fixture) string {
	fd := f.leak("/")
	p := f.prison("peek")
	p.guarded(func(output) {})
	for n := 3; n < max(fd, 12)+2; n++ {
		said := f.pipe()
		process := process(false, "/attack", "climb", p.marker)
		process.Cwd = fmt.Sprintf("/proc/self/fd/%d", n)
		e, err := f.r.Exec(f.Context(), runtime.ExecOptions{ID: f.id, Process: process, Stdout: said.w})
		f.must(err)
		f.wait(e) // refused or not
		if got := said.rest(f); got != "" {
			return got
		}
	}
	return ""
}

// guarded starts the container, and calls during once it is ready.
func (p *prison) guarded(during func(out output)) {
	p.Helper()
	o, out := p.options(), p.pipe()
	o.Stdout = out.w
	_, err := p.r.Create(p.Context(), o)
	p.must(err)
	p.must(p.r.Start(p.Context(), p.id))
	out.line(p.fixture)
	during(out)
}

// enter runs processes in the container, one after the other, until it has said its last word.
func (p *prison) enter(out output) string {
	p.Helper()
	var got []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for line := out.line(p.fixture); line != "done"; line = out.line(p.fixture) {
			got = append(got, line)
		}
	}()
	for {
		select {
		case <-done:
			return strings.Join(got, "; ")
		default:
		}
		e, err := p.r.Exec(p.Context(), runtime.ExecOptions{ID: p.id, Process: process(false, "/attack", "nothing")})
		p.must(err)
		p.wait(e)
	}
}

// overwrittenProgram is given every capability: the program must be out of reach by itself, not by dumpability only.
func overwrittenProgram(f *fixture) (got string) {
	p := f.prison("seize")
	all := []string{"CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN"}
	p.spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
	p.guarded(func(out output) { got = p.enter(out) })
	f.Logf("said %q", got)
	if strings.Contains(got, "wrote <nil>") {
		return "the runtime's program was written to"
	}
	return ""
}

func seenFiles(f *fixture) (got string) {
	f.leak("/")
	p := f.prison("peek")
	p.spec.Process.Args = append(p.spec.Process.Args, p.marker)
	p.guarded(func(out output) { got = p.enter(out) })
	return got
}

func maskedByLink(f *fixture) string {
	p := f.prison("read", "/masked", "/told") // crun attaches its output, too, to what /dev/null leads to (CVE-2026-88265)
	f.must(os.WriteFile(p.in("shown"), []byte("behind the mask"), 0o644))
	f.must(os.WriteFile(p.in("masked"), []byte("masked"), 0o644))
	// /dev is a volume that another container changes.
	p.without("/dev")
	p.link("/shown", "volume/null")
	p.mount("/dev", "bind", p.in("volume"))
	p.spec.Linux.MaskedPaths = []string{"/masked"}
	if _, err := p.serve(); err != nil {
		return "" // refused
	}
	told, err := os.ReadFile(p.in("told"))
	f.must(err)
	if strings.HasPrefix(string(told), `""`) {
		return ""
	}
	return "the masked file reads " + string(told)
}

func consoleLink(f *fixture) string {
	p := f.prison("kind", "/console-target")
	f.must(os.WriteFile(p.in("console-target"), nil, 0o644))
	p.without("/dev")
	p.link("/console-target", "volume/console")
	p.dir("volume/pts")
	p.mount("/dev", "bind", p.in("volume"))
	p.mount("/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666")
	p.spec.Process.Terminal = true
	// What the container says goes to its terminal: look from outside, before it starts.
	o := p.options()
	made, err := f.r.Create(f.Context(), o)
	if err != nil {
		return "" // refused
	}
	defer made.Console.Close()
	var st unix.Stat_t
	f.must(unix.Lstat(fmt.Sprintf("/proc/%d/root/console-target", made.PID), &st))
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "the terminal lies on another file"
	}
	return ""
}

func redirectedWrite(f *fixture) string {
	p := f.prison("read", "/redirected")
	f.must(os.WriteFile(p.in("redirected"), []byte("as it was"), 0o644))
	p.link("/redirected", "sys/kernel/msgmax")
	p.mount("/proc/sys", "bind", p.in("sys"))
	p.spec.Linux.Sysctl = map[string]string{"kernel.msgmax": "4321"}
	said, err := p.serve()
	if err != nil || strings.Contains(said, "as it was") {
		return ""
	}
	return "the other file has " + said
}

func deviceLink(f *fixture) string {
	p := f.prison("nothing")
	p.without("/dev")
	p.link(p.host, "dev")
	p.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5}}
	p.serve()
	return p.touched()
}

// swappedTarget has the place of a mount change between a folder and a link to the host while the mount is made.
func swappedTarget(f *fixture) string {
	p := f.prison("mounts")
	p.dir("volume/a/target")
	p.link(filepath.Dir(p.host), "volume/b")
	source := p.dir("source")
	p.mount("/volume", "bind", p.in("volume"))
	p.mount("/volume/a/target", "bind", source)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, p.in("volume/a"), unix.AT_FDCWD, p.in("volume/b"), unix.RENAME_EXCHANGE)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for begun := time.Now(); time.Since(begun) < 700*time.Millisecond; {
		said, err := p.serve()
		if err != nil {
			continue // refused
		}
		// Where a link's target is within the root, the container sees it.
		if !strings.Contains(said, "/root/source ") {
			return "a mount lies outside: the container sees only\n" + said
		}
	}
	return ""
}

func linkedProc(f *fixture) string {
	return f.falseMount("/proc", "proc", unix.PROC_SUPER_MAGIC, false)
}

func linkedSys(f *fixture) string { return f.falseMount("/sys", "sysfs", unix.SYSFS_MAGIC, false) }

func procInVolume(f *fixture) string {
	return f.falseMount("/proc", "proc", unix.PROC_SUPER_MAGIC, true)
}

// falseMount: a kernel's file system is to be where it belongs, or nowhere.
func (f *fixture) falseMount(target, kind string, magic int64, volume bool) string {
	p := f.prison("kind", target)
	p.dir("elsewhere")
	p.without("/proc")
	p.link("/elsewhere", target)
	if volume {
		p.mount("/elsewhere", "bind", p.dir("volume"))
	}
	p.mount(target, kind, kind)
	said, err := p.serve()
	if err != nil || strings.Contains(said, fmt.Sprintf("mode %#o device 0x0 on %#x", unix.S_IFDIR, magic)) {
		return ""
	}
	return target + " is " + said
}
