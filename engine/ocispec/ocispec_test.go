package ocispec

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pcompose/pcompose/pod"
)

// TestImageCannotSteer: whatever an image's config says, all but command, environment and directory stays the same
// (RELIABILITY S3, CVE-2026-94603).
func TestImageCannotSteer(t *testing.T) {
	isolation := func(image ImageConfig, base func() Input) string {
		in := base()
		in.Image = image
		in.Container.Command = []string{"run"}
		spec, warnings, err := Spec(in)
		if err != nil {
			return ""
		}
		spec.Process.Args, spec.Process.Env, spec.Process.Cwd = nil, nil, ""
		text, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + fmt.Sprint(warnings)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for name, base := range cases() {
		want := isolation(ImageConfig{}, base)
		if strings.Contains(want, "annotations") {
			t.Errorf("%s has annotations", name)
		}
		for range 300 {
			image := randomImage(r)
			if got := isolation(image, base); got != want && got != "" {
				t.Fatalf("%s: %+v changes the spec:\n%s\n%s", name, image, got, want)
			}
		}
	}
}

func randomImage(r *rand.Rand) ImageConfig {
	words := []string{"", "=", "A=b", "HOME=/x", "PATH", "HOSTNAME=x", "LD_PRELOAD=/x.so", "/proc/self/fd/7", "../../etc", "\x00", "run.oci.keep_original_groups=1",
		"io.podman.annotations.privileged", "--privileged", "0:0", "ALL", "CAP_SYS_ADMIN", "/", "/dev", "/sys", "SIGKILL", "ünïcode", strings.Repeat("x", 5000)}
	list := func() []string {
		var l []string
		for range r.IntN(4) {
			l = append(l, words[r.IntN(len(words))])
		}
		return l
	}
	word := func() string { return words[r.IntN(len(words))] }
	return ImageConfig{Env: list(), Entrypoint: list(), Cmd: list(), User: word(), WorkingDir: word(), Volumes: list(), StopSignal: word(),
		Healthcheck: &pod.Health{Test: list()}}
}

func TestArgs(t *testing.T) {
	image := ImageConfig{Entrypoint: []string{"ie"}, Cmd: []string{"ic"}}
	for _, c := range []struct {
		entrypoint, command []string
		want                string
	}{
		{nil, nil, "ie ic"},
		{nil, []string{"c"}, "ie c"},
		{nil, []string{}, "ie"},
		{[]string{"e"}, nil, "e"},
		{[]string{"e"}, []string{"c"}, "e c"},
		{[]string{}, []string{"c"}, "c"},
		{[]string{}, nil, "nothing to run"},
		{[]string{"a\x00b"}, nil, "NUL"},
	} {
		in := web()
		in.Image, in.Container.Entrypoint, in.Container.Command = image, c.entrypoint, c.command
		spec, _, err := Spec(in)
		got := fmt.Sprint(err)
		if err == nil {
			got = strings.Join(spec.Process.Args, " ")
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%q %q: %s, want %s", c.entrypoint, c.command, got, c.want)
		}
	}
}

func TestEnv(t *testing.T) {
	in := web()
	in.Image.Env = []string{"SECRET", "SECRET*", "=x", "A=image", "PATH=/p", "A=again", "B=image"}
	in.Container.Env = map[string]string{"B": "service", "HOME": "/h"}
	spec, _, err := Spec(in)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"PATH=/p", "HOSTNAME=shop-web-1", "A=again", "B=service", "HOME=/h"}
	if !slices.Equal(spec.Process.Env, want) {
		t.Errorf("env is %q, want %q", spec.Process.Env, want)
	}
}

// TestRefused: what would fail in the runtime, or change the host, is refused with a word that says what.
func TestRefused(t *testing.T) {
	for want, change := range map[string]func(*Input){
		`unknown capability "NET_ADMN"`: func(in *Input) { in.Container.Isolation.CapAdd = []string{"NET_ADMN"} },
		"both say ALL":                  func(in *Input) { i := &in.Container.Isolation; i.CapAdd, i.CapDrop = []string{"all"}, []string{"ALL"} },
		`unknown ulimit "files"`:        func(in *Input) { in.Container.Isolation.Ulimits = []pod.Ulimit{{Name: "files"}} },
		"is more than hard":             func(in *Input) { in.Container.Isolation.Ulimits = []pod.Ulimit{{Name: "core", Soft: -1, Hard: 5}} },
		"apt install catatonit":         func(in *Input) { in.Container.Init = true },
		"less than 6 MiB":               func(in *Input) { in.Container.Resources.Memory = 1 << 20 },
		"memswap_limit needs mem_limit": func(in *Input) { in.Container.Resources.MemorySwap = 1 << 30 },
		"less than mem_limit":           func(in *Input) { r := &in.Container.Resources; r.Memory, r.MemorySwap = 1<<30, 1<<29 },
		"is more than mem_limit":        func(in *Input) { r := &in.Container.Resources; r.Memory, r.MemoryReservation = 1<<29, 1<<30 },
		"kernel's least":                func(in *Input) { in.Container.Resources.CPUs = 0.001 },
		"cpus and cpu_quota":            func(in *Input) { r := &in.Container.Resources; r.CPUs, r.CPUQuota = 1, 5000 },
		`sysctl "vm.overcommit_memory"`: func(in *Input) { in.Container.Isolation.Sysctls = map[string]string{"vm.overcommit_memory": "1"} },
		`sysctl "kernel/core_pattern"`:  func(in *Input) { in.Container.Isolation.Sysctls = map[string]string{"kernel/core_pattern": "|x"} },
		`sysctl "net/../kernel/core_pattern"`: func(in *Input) {
			in.Container.Isolation.Sysctls = map[string]string{"net/../kernel/core_pattern": "|x"}
		},
		"whose network this container uses": func(in *Input) {
			in.HostNetwork, in.Container.Isolation.Sysctls = true, map[string]string{"net.x": "1"}
		},
		"say hostname:":                       func(in *Input) { in.Container.Isolation.Sysctls = map[string]string{"kernel.hostname": "x"} },
		`working directory "/proc/self/fd/7"`: func(in *Input) { in.Image.WorkingDir = "x/../proc/self/fd/7" },
		"replace the container's root":        func(in *Input) { in.Mounts = []Mount{{Mount: pod.Mount{Target: "/x/.."}, HostPath: "/y"}} },
		"not absolute":                        func(in *Input) { in.Files = []FileMount{{Source: "/x", Target: "etc/hosts"}} },
		`source "data" is not an absolute`:    func(in *Input) { in.Mounts = []Mount{{Mount: pod.Mount{Target: "/x"}, HostPath: "data"}} },
		`propagation "public"`: func(in *Input) {
			in.Mounts = []Mount{{Mount: pod.Mount{Target: "/x", Propagation: "public"}, HostPath: "/y"}}
		},
		`recursive "yes"`: func(in *Input) {
			in.Mounts = []Mount{{Mount: pod.Mount{Target: "/x", Recursive: "yes"}, HostPath: "/y"}}
		},
		"needs read_only": func(in *Input) {
			in.Mounts = []Mount{{Mount: pod.Mount{Target: "/x", Recursive: "readonly"}, HostPath: "/y"}}
		},
		`domainname "x"`: func(in *Input) { c := &in.Container; c.Domainname, c.Isolation.UTS = "x", pod.NamespaceHost },
		`sysctl "kernel.domainname": it would change the UTS`: func(in *Input) {
			i := &in.Container.Isolation
			i.UTS, i.Sysctls = pod.InContainer("x"), map[string]string{"kernel.domainname": "x"}
		},
		`sysctl "kernel.shmmax": it would change the host`: func(in *Input) {
			i := &in.Container.Isolation
			i.IPC, i.Sysctls = pod.NamespaceHost, map[string]string{"kernel.shmmax": "1"}
		},
		`"/dev/sdx" is no block device`: func(in *Input) {
			in.Host.Controllers = []string{"blkio"}
			in.Container.Resources.BlockIO.ReadBps = []pod.DeviceValue{{Path: "/dev/sdx"}}
		},
		`permissions "rwx"`:          func(in *Input) { in.Devices = []Device{{Path: "/dev/x", Permissions: "rwx"}} },
		`seccomp profile "/p.json"`:  func(in *Input) { in.Container.Isolation.Seccomp = "/p.json" },
		`environment variable "A=B"`: func(in *Input) { in.Container.Env = map[string]string{"A=B": "c"} },
		`path "proc/x" to mask`:      func(in *Input) { in.Container.Isolation.Mask = []string{"proc/x"} },
	} {
		in := web()
		change(&in)
		_, _, err := Spec(in)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), `cannot make spec of container "shop-web-1": `) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

// TestSELinux: a label that is asked for and not given is said, where the kernel has labels.
func TestSELinux(t *testing.T) {
	for _, has := range []bool{false, true} {
		in := web()
		in.Host.SELinux = has
		in.Mounts = []Mount{{Mount: pod.Mount{Type: pod.MountBind, Target: "/x", SELinux: "Z"}, HostPath: "/y"}}
		_, warnings, err := Spec(in)
		if err != nil || (len(warnings) == 1) != has {
			t.Errorf("SELinux %t: %q, %v", has, warnings, err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	for _, c := range []struct {
		add, drop []string
		uid       uint32
		bounding  int
		effective []string
	}{
		{nil, []string{"ALL"}, 0, 0, nil},
		{[]string{"NET_RAW"}, []string{"all"}, 0, 1, []string{"CAP_NET_RAW"}},
		{[]string{"ALL"}, []string{"SYS_ADMIN"}, 7, 40, nil},
		{[]string{"chown"}, []string{"CHOWN"}, 1, 11, []string{"CAP_CHOWN"}},
		{nil, nil, 1, 11, nil},
	} {
		in := web()
		in.Container.Isolation.CapAdd, in.Container.Isolation.CapDrop, in.User.UID = c.add, c.drop, c.uid
		spec, _, err := Spec(in)
		if err != nil {
			t.Fatal(err)
		}
		caps := spec.Process.Capabilities
		if len(caps.Bounding) != c.bounding || !slices.Equal(caps.Effective, c.effective) || !slices.Equal(caps.Permitted, c.effective) {
			t.Errorf("add %v drop %v uid %d: %+v", c.add, c.drop, c.uid, caps)
		}
		if c.uid == 0 && len(caps.Inheritable)+len(caps.Ambient) != 0 {
			t.Errorf("root has inheritable %v, ambient %v", caps.Inheritable, caps.Ambient)
		}
	}
}

// TestSeccompFile: a profile in docker's format, with rules for capabilities, architectures and errno by name.
func TestSeccompFile(t *testing.T) {
	in := web()
	in.Container.Isolation.Seccomp = "/p.json"
	in.SeccompProfile = []byte(`{"defaultAction":"SCMP_ACT_ALLOW","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
		"syscalls":[{"name":"mkdir","action":"SCMP_ACT_ERRNO","errno":"EACCES"},{"names":["bpf"],"action":"SCMP_ACT_KILL","includes":{"caps":["CAP_BPF"]}},
		{"names":["x"],"action":"SCMP_ACT_KILL","excludes":{"arches":["amd64"]}},{"names":["y"],"action":"SCMP_ACT_TRAP","excludes":{"caps":["CAP_BPF"]}}]}`)
	spec, _, err := Spec(in)
	if err != nil {
		t.Fatal(err)
	}
	want := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86},
		Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActErrno, ErrnoRet: ptr(uint(13))}, {Names: []string{"y"}, Action: specs.ActTrap}}}
	if !reflect.DeepEqual(spec.Linux.Seccomp, want) {
		t.Errorf("filter is %+v", spec.Linux.Seccomp)
	}
}

func TestExec(t *testing.T) {
	in := web()
	in.Container.Isolation.NoNewPrivileges = true
	spec, _, err := Spec(in)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := json.Marshal(spec)
	p, err := Process(spec, Exec{Argv: []string{"sh"}, Env: []string{"A=9", "C=3"}, TTY: true, Rows: 24, Columns: 80}, in.Host)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=/usr/sbin:/usr/bin", "HOSTNAME=shop-web-1", "NGINX=1.22", "A=9", "B=2", "HOME=/root", "C=3", "TERM=xterm"}
	if !slices.Equal(p.Env, env) || p.Cwd != "/srv" || !p.Terminal || !p.NoNewPrivileges || p.ConsoleSize.Width != 80 || len(p.Rlimits) != 1 ||
		!slices.Equal(p.Capabilities.Effective, spec.Process.Capabilities.Effective) {
		t.Errorf("process is %+v", p)
	}
	p, err = Process(spec, Exec{Argv: []string{"sh"}, User: &User{UID: 33, GID: 33, Home: "/var/www"}, WorkingDir: "/x"}, in.Host)
	if err != nil {
		t.Fatal(err)
	}
	if p.User.UID != 33 || p.Cwd != "/x" || !slices.Contains(p.Env, "HOME=/var/www") || len(p.Capabilities.Effective) != 0 || len(p.Capabilities.Bounding) != 11 {
		t.Errorf("process is %+v, %+v", p, p.Capabilities)
	}
	p, err = Process(spec, Exec{Argv: []string{"sh"}, Privileged: true}, in.Host)
	if err != nil || len(p.Capabilities.Effective) != 41 {
		t.Errorf("%v, process is %+v", err, p)
	}
	if after, _ := json.Marshal(spec); string(after) != string(before) {
		t.Error("the container's spec changed")
	}
	for _, x := range []Exec{{}, {Argv: []string{"x"}, Env: []string{"HOST"}}, {Argv: []string{"x"}, WorkingDir: "/proc/1/root"}} {
		if _, err := Process(spec, x, in.Host); err == nil || !strings.HasPrefix(err.Error(), "cannot exec: ") {
			t.Errorf("%+v: error is %v", x, err)
		}
	}
}

func BenchmarkSpec(b *testing.B) {
	in := everything()
	for b.Loop() {
		if _, _, err := Spec(in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConfigJSON adds what the caller pays to write config.json.
func BenchmarkConfigJSON(b *testing.B) {
	in := everything()
	for b.Loop() {
		spec, _, err := Spec(in)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(spec); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDomainname: the sysctl is only for who may write it.
func TestDomainname(t *testing.T) {
	for _, rootless := range []bool{false, true} {
		in := Input{Container: pod.Container{Name: "c", Command: []string{"x"}, Domainname: "example.org"}}
		in.Host.Rootless = rootless
		spec, _, err := Spec(in)
		if err != nil {
			t.Fatal(err)
		}
		if sysctl := spec.Linux.Sysctl["kernel.domainname"]; (sysctl == "") != rootless || (spec.Domainname != "") != rootless {
			t.Errorf("rootless %v: the sysctl is %q, the field %q", rootless, sysctl, spec.Domainname)
		}
	}
}
