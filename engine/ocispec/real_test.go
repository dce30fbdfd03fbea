package ocispec

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

//go:embed testdata/probe.go.txt
var probeSource []byte

// TestReal runs specs in the runtimes of this machine and lets a probe in the container tell what it sees.
func TestReal(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	rootfs := t.TempDir()
	source := filepath.Join(t.TempDir(), "probe.go")
	if err := os.WriteFile(source, probeSource, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(rootfs, "probe"), source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: cannot build the probe: %v\n%s", err, out)
	}
	for _, program := range []string{"crun", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Logf("SKIPPED: no %s", program)
			continue
		}
		for name, c := range realCases() {
			t.Run(program+" "+name, func(t *testing.T) { c.run(t, program, rootfs) })
		}
	}
}

type realCase struct {
	change func(*Input)
	want   []string
}

func realCases() map[string]realCase {
	return map[string]realCase{
		"default": {func(*Input) {}, []string{"uid=0", "caps=00000000800405fb", "inh=0000000000000000", "seccomp=2", "nnp=0", "hostname=pct-spec",
			"cwd=/", "kcore=empty", "sysrq=read-only", "sys=read-only", "root=writable", "shm=67108864", "vsock=denied", "audit=denied", "inet=ok", "HOME=/root", "init=no"}},
		"user": {func(in *Input) {
			in.User = User{UID: 1000, GID: 1000, Home: "/home/me"}
			in.Container.Isolation.CapAdd = []string{"NET_RAW"}
			in.Container.Isolation.NoNewPrivileges = true
		}, []string{"uid=1000", "caps=0000000000002000", "nnp=1", "HOME=/home/me"}},
		"read-only": {func(in *Input) {
			in.Container.ReadOnly, in.Container.ShmSize = true, 1<<20
			in.Container.Domainname = "example.org"
			in.Mounts = []Mount{{Mount: pod.Mount{Type: pod.MountTmpfs, Target: "/tmp", Size: 1 << 20}}}
		}, []string{"root=read-only", "shm=1048576", "domain=example.org", "tmp=writable"}},
		"privileged": {func(in *Input) { in.Container.Isolation.Privileged = true },
			[]string{"seccomp=0", "sysrq=writable", "sys=writable"}},
		"added": {func(in *Input) {
			in.Container.Isolation.CapAdd = []string{"AUDIT_WRITE"}
			in.Container.Isolation.Sysctls = map[string]string{"kernel.shmmni": "99", "net.ipv4.ip_unprivileged_port_start": "7"}
			in.Container.Isolation.Ulimits = []pod.Ulimit{{Name: "nofile", Soft: 50, Hard: 60}}
			in.Mounts = []Mount{{Mount: pod.Mount{Type: pod.MountBind, Target: "/tmp", ReadOnly: true, Recursive: "readonly"}, HostPath: in.Rootfs}}
			in.Container.Resources = pod.Resources{Memory: 64 << 20, CPUs: 0.5, CPUShares: 512, Pids: 50, OOMScoreAdj: 77}
		}, []string{"vsock=denied", "shmmni=99", "nofile=60", "tmp=read-only", "oom=77", "portstart=7"}},
		"cgroup namespace": {func(in *Input) { in.Host.CgroupV2 = true }, []string{"uid=0"}},
		"init":             {func(in *Input) { in.Container.Init, in.InitPath = true, in.Rootfs+"/probe" }, []string{"init=yes", "uid=0"}},
		"host network":     {func(in *Input) { in.HostNetwork = true }, []string{"inet=ok"}},
	}
}

func (c realCase) run(t *testing.T, program, rootfs string) {
	id := "pct-spec-" + program
	in := Input{
		Container: pod.Container{Name: "pct-spec", Command: []string{"/probe"}},
		User:      User{Home: "/root"}, Rootfs: rootfs, CgroupPath: "/" + id,
		Host: Host{Arch: "amd64", Seccomp: true, MaxRlimits: map[string]uint64{"nofile": 1024}, Caps: ownCaps(),
			Controllers: []string{"cpu", "memory", "pids"}},
	}
	c.change(&in)
	spec, warnings, err := Spec(in)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	bundle := t.TempDir()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--root", filepath.Join(bundle, "root"), "run", "--bundle", bundle, id}
	if program == "crun" {
		args = append([]string{"--cgroup-manager", "cgroupfs"}, args...)
	}
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range c.want {
		if !bytes.Contains(out, []byte(want+"\n")) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

// ownCaps is this process's bounding set by name: a runtime cannot grant more.
func ownCaps() []string {
	text, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(text), "CapBnd:\t")
	var bits uint64
	for _, r := range after[:16] {
		bits = bits<<4 | uint64(strings.IndexRune("0123456789abcdef", r))
	}
	var caps []string
	for name, bit := range map[string]int{"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_FSETID": 4, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7,
		"CAP_SETPCAP": 8, "CAP_NET_BIND_SERVICE": 10, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_CHROOT": 18, "CAP_SYS_ADMIN": 21, "CAP_AUDIT_WRITE": 29, "CAP_SETFCAP": 31} {
		if bits>>bit&1 == 1 {
			caps = append(caps, name)
		}
	}
	return caps
}
