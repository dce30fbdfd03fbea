package engine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/engine/ocispec"
	"github.com/pcompose/pcompose/engine/userns"
	"github.com/pcompose/pcompose/pod/pid1"
	"golang.org/x/sys/unix"
)

// host is what this machine, and this process on it, can do.
type host struct {
	ocispec.Host
}

// readHost asks the kernel. Nothing of it changes while a command runs.
func readHost(d delegation) (host, error) {
	h := host{Host: ocispec.Host{Arch: runtime.GOARCH, Rootless: userns.Rootless(), MaxRlimits: map[string]uint64{}}}
	caps, err := capabilities()
	if err != nil {
		return h, err
	}
	h.Caps = caps.bounding
	if h.UIDs, h.GIDs, err = userns.Mapped(); err != nil {
		return h, err
	}
	h.readCgroups(d)
	h.BlockWeight = weightsBlockDevices()
	h.Seccomp = exists("/proc/sys/kernel/seccomp/actions_avail")
	h.AppArmor = exists("/sys/kernel/security/apparmor/profiles")
	h.MQueue = exists("/dev/mqueue")
	h.SELinux = exists("/sys/fs/selinux/enforce")
	h.MaskedPaths, _ = filepath.Glob("/sys/devices/system/cpu/cpu*/thermal_throttle")
	// What a user namespace gives of it is for what belongs to that.
	h.readLimits(caps.effective(unix.CAP_SYS_RESOURCE) && !h.Rootless)
	return h, nil
}

// initProgram is the init process for containers with init: true as a file: ours, else one of the machine's, "" for none.
// It is below the root, since run directories are often mounted noexec.
func initProgram(root string) (string, error) {
	path := filepath.Join(root, "init")
	err := pid1.Write(path)
	if errors.Is(err, pid1.ErrNone) {
		return installedInit(), nil
	}
	return path, err
}

func installedInit() string {
	for _, name := range []string{"catatonit", "tini-static", "docker-init", "tini"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// readCgroups finds which controllers' limits can be set: cgroup.controllers in v2, the mounted hierarchies in v1.
func (h *host) readCgroups(d delegation) {
	const mount = cgroupMount
	h.CgroupV2 = isUnified(mount)
	if d.none {
		return
	}
	if h.CgroupV2 {
		b, _ := os.ReadFile(filepath.Join(mount, d.base, "cgroup.controllers"))
		h.Controllers = strings.Fields(string(b))
		h.Swap = exists("/proc/swaps")
		return
	}
	entries, _ := os.ReadDir(mount)
	for _, e := range entries {
		h.Controllers = append(h.Controllers, strings.Split(e.Name(), ",")...)
	}
	h.Swap = exists(filepath.Join(mount, "memory", "memory.memsw.limit_in_bytes"))
	h.Realtime = exists(filepath.Join(mount, "cpu", "cpu.rt_runtime_us"))
}

// readLimits finds how far resource limits may be raised: without CAP_SYS_RESOURCE not beyond the process's own
// (setrlimit(2)).
func (h *host) readLimits(mayRaise bool) {
	h.MinOOMScoreAdj = -1000
	if mayRaise {
		if n, err := readNumber("/proc/sys/fs/nr_open"); err == nil {
			h.MaxRlimits["nofile"] = uint64(n)
		}
		return
	}
	for name, resource := range rlimits() {
		var lim unix.Rlimit
		if unix.Getrlimit(resource, &lim) == nil {
			h.MaxRlimits[name] = lim.Max
		}
	}
	if n, err := readNumber("/proc/self/oom_score_adj"); err == nil {
		h.MinOOMScoreAdj = n
	}
}

func rlimits() map[string]int {
	return map[string]int{
		"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
		"fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK,
		"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
		"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
		"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
	}
}

func readNumber(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// weightsBlockDevices says whether an I/O scheduler that knows weights is there: only then a cgroup has the files for
// them. What blk-iocost offers beside it (io.weight) is asked of the cgroups that there are.
func weightsBlockDevices() bool {
	files, _ := filepath.Glob("/sys/block/*/queue/scheduler")
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && (strings.Contains(string(b), "[bfq]") || strings.Contains(string(b), "[cfq]")) {
			return true
		}
	}
	weighted, _ := filepath.Glob("/sys/fs/cgroup/*/io*.weight")
	return len(weighted) > 0
}
