package ocispec

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pcompose/pcompose/pod"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// web is a plain service of an nginx-like image on a v1 host like most CI machines.
func web() Input {
	return Input{
		Container: pod.Container{Name: "shop-web-1", Service: "web", Env: map[string]string{"B": "2", "A": "1"}},
		Image: ImageConfig{Env: []string{"PATH=/usr/sbin:/usr/bin", "NGINX=1.22"}, Entrypoint: []string{"/entrypoint.sh"},
			Cmd: []string{"nginx", "-g", "daemon off;"}, WorkingDir: "/srv"},
		User:   User{Home: "/root"},
		Rootfs: "/rootfs", NetNS: "/run/netns/shop", CgroupPath: "/pcompose/shop/web-1",
		Host: Host{Arch: "amd64", Controllers: []string{"cpu", "cpuset", "devices", "memory", "pids"}, Swap: true, Seccomp: true,
			MaxRlimits: map[string]uint64{"nofile": 20000}, MinOOMScoreAdj: -1000},
		Files: []FileMount{{Source: "/run/p/hosts", Target: "/etc/hosts"}, {Source: "/run/p/resolv.conf", Target: "/etc/resolv.conf"}},
	}
}

func everything() Input {
	in := web()
	in.Container = pod.Container{
		Name: "shop-all-1", Entrypoint: []string{"/bin/app"}, Command: []string{"--serve"}, WorkingDir: "/work", TTY: true, Init: true,
		Hostname: "all", Domainname: "example.org", ReadOnly: true, ShmSize: 1 << 20,
		Isolation: pod.Isolation{
			CapAdd: []string{"NET_ADMIN", "cap_sys_ptrace"}, CapDrop: []string{"CHOWN"}, NoNewPrivileges: true, AppArmor: "my-profile",
			Label: []string{"type:x_t"}, Mask: []string{"/proc/cpuinfo"}, Unmask: []string{"/proc/a*", "/sys/firmware"},
			Sysctls: map[string]string{"net.core.somaxconn": "1024", "kernel.shmmax": "1000"},
			Ulimits: []pod.Ulimit{{Name: "nproc", Soft: 100, Hard: 200}, {Name: "nofile", Soft: 30000, Hard: 1 << 20}, {Name: "core", Soft: -1, Hard: -1}},
		},
		Resources: pod.Resources{Memory: 64 << 20, MemoryReservation: 32 << 20, MemorySwap: 64 << 20, CPUs: 0.5, CPUShares: 512, CPUSet: "0-1",
			Pids: 100, OOMScoreAdj: -500},
	}
	in.InitPath = "/usr/bin/catatonit"
	in.Host.MinOOMScoreAdj = -10
	in.Host.AppArmor = true
	in.Host.MaskedPaths = []string{"/sys/devices/system/cpu/cpu0/thermal_throttle"}
	in.Mounts = []Mount{
		{Mount: pod.Mount{Type: pod.MountTmpfs, Target: "/tmp", Size: 1 << 20, Mode: 0o700}},
		{Mount: pod.Mount{Type: pod.MountVolume, Target: "/data/deep/er", ReadOnly: true, Recursive: "readonly"}, HostPath: "/vol/1"},
		{Mount: pod.Mount{Type: pod.MountBind, Target: "/data/", Propagation: "rslave", Recursive: "disabled"}, HostPath: "/host/data"},
		{Mount: pod.Mount{Type: pod.MountTmpfs, Target: "/dev/shm"}},
		{Mount: pod.Mount{Type: pod.MountBind, Target: "/etc/hosts"}, HostPath: "/my/hosts"},
	}
	in.Files = append(in.Files, FileMount{Source: "/run/p/secret", Target: "/run/secrets/s", ReadOnly: true})
	in.Devices = []Device{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, Mode: 0o666, Permissions: "rw"}}
	return in
}

func cases() map[string]func() Input {
	with := func(change func(*Input)) func() Input {
		return func() Input { in := web(); change(&in); return in }
	}
	return map[string]func() Input{
		"web":        web,
		"everything": everything,
		"privileged": with(func(in *Input) {
			in.Container.Isolation.Privileged = true
			in.Devices = []Device{{Path: "/dev/sda", Type: "b", Major: 8, Mode: 0o660, GID: 6}}
		}),
		"user": with(func(in *Input) {
			in.User = User{UID: 1000, GID: 1000, Groups: []uint32{10, 20}, Home: "/home/me"}
			in.Container.Isolation.CapAdd = []string{"NET_RAW"}
		}),
		"host namespaces": with(func(in *Input) {
			i := &in.Container.Isolation
			i.PID, i.IPC, i.UTS, i.CgroupNS = pod.NamespaceHost, pod.NamespaceHost, pod.NamespaceHost, pod.NamespaceHost
			i.WritableCgroups, i.ProcOptions = true, []string{"hidepid=2"}
			in.Host.CgroupV2, in.Container.Hostname = true, "box"
		}),
		"joined": with(func(in *Input) {
			i := &in.Container.Isolation
			i.PID, i.IPC, i.UTS, i.CgroupNS = pod.InContainer("a"), pod.InContainer("b"), pod.InContainer("c"), pod.NamespacePrivate
		}),
		"shareable": with(func(in *Input) { in.Container.Isolation.IPC, in.Shm = pod.NamespaceShareable, "/run/p/shm" }),
		"no ipc":    with(func(in *Input) { in.Container.Isolation.IPC = pod.NamespaceNone }),
		"limits":    with(limits),
		"limits v2": with(func(in *Input) {
			limits(in)
			in.Host.CgroupV2, in.Host.BlockWeight, in.Host.Realtime, in.Host.Controllers = true, false, false, []string{"io", "cpu", "memory", "pids"}
		}),
		"tmpfs": with(func(in *Input) {
			in.Mounts = []Mount{{Mount: pod.Mount{Type: pod.MountTmpfs, Target: "/run", Mode: 0o750, Size: 1 << 20,
				Options: []string{"exec", "suid", "uid=5", "nr_inodes=10k", "notmpcopyup"}}}}
		}),
		"v2":        with(func(in *Input) { in.Host.CgroupV2 = true }),
		"tty":       with(func(in *Input) { in.Container.TTY = true }),
		"read-only": with(func(in *Input) { in.Container.ReadOnly = true }),
		"bare host": with(func(in *Input) {
			in.Host = Host{Arch: "amd64", Rootless: true, Caps: []string{"CAP_CHOWN", "CAP_SETUID"}, MaxRlimits: map[string]uint64{"nofile": 1024}, MinOOMScoreAdj: 200}
			in.HostNetwork, in.NetNS = true, ""
			in.Container.Resources = pod.Resources{Memory: 64 << 20, CPUs: 1, CPUSet: "0", Pids: 10}
			in.Container.Isolation = pod.Isolation{CapAdd: []string{"NET_ADMIN"}, AppArmor: "x"}
		}),
	}
}

// limits are those that one of the two cgroup versions does not have, and of devices.
func limits(in *Input) {
	r := &in.Container.Resources
	r.MemorySwappiness, r.OOMKillDisable, r.CPURTPeriod, r.CPURTRuntime = ptr(uint64(0)), true, 1_000_000, 950_000
	disk := func(value uint64) []pod.DeviceValue { return []pod.DeviceValue{{Path: "/dev/sda", Value: value}} }
	r.BlockIO = pod.BlockIO{Weight: 300, WeightDevice: disk(400), ReadBps: disk(1), WriteBps: disk(2), ReadIOps: disk(3), WriteIOps: disk(4)}
	in.BlockDevices = map[string]DeviceNumber{"/dev/sda": {Major: 8}}
	in.Container.Isolation.DeviceRules = []pod.DeviceRule{{Type: "c", Major: 1, Minor: 3, Permissions: "mr"}, {Type: "b", Major: 7, Minor: -1, Permissions: "rwm"}}
	in.Host.BlockWeight, in.Host.Realtime, in.Host.Controllers = true, true, append(in.Host.Controllers, "blkio")
}

// TestGolden compares whole specs, the filter's rules apart: they have a file of their own, since they are the same.
func TestGolden(t *testing.T) {
	for name, in := range cases() {
		spec, warnings, err := Spec(in())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "web" {
			compare(t, "seccomp", spec.Linux.Seccomp)
		}
		if spec.Linux.Seccomp != nil {
			spec.Linux.Seccomp.Syscalls = nil
		}
		compare(t, strings.ReplaceAll(name, " ", "-"), struct {
			Spec     *specs.Spec
			Warnings []string
		}{spec, warnings})
	}
}

func compare(t *testing.T, name string, v any) {
	t.Helper()
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, buf.Bytes()) {
		t.Errorf("%s differs from %s (go test -update rewrites it):\n%s", name, file, buf.Bytes())
	}
}
