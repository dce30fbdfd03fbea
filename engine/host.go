package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/engine/ocispec"
	"github.com/pcompose/pcompose/pod"
	"golang.org/x/sys/unix"
)

// host is what this machine, and this process on it, can do.
type host struct {
	ocispec.Host
	// init is a static init program, "" where none is installed.
	init string
}

// readHost asks the kernel. Nothing of it changes while a command runs.
func readHost() (host, error) {
	h := host{Host: ocispec.Host{Arch: runtime.GOARCH, Rootless: os.Geteuid() != 0, MaxRlimits: map[string]uint64{}}}
	caps, err := capabilities()
	if err != nil {
		return h, err
	}
	h.Caps = caps.bounding
	h.readCgroups()
	h.Seccomp = exists("/proc/sys/kernel/seccomp/actions_avail")
	h.AppArmor = exists("/sys/kernel/security/apparmor/profiles")
	h.SELinux = exists("/sys/fs/selinux/enforce")
	h.MaskedPaths, _ = filepath.Glob("/sys/devices/system/cpu/cpu*/thermal_throttle")
	h.readLimits(caps.effective(unix.CAP_SYS_RESOURCE))
	for _, name := range []string{"catatonit", "tini-static", "docker-init", "tini"} {
		if path, err := exec.LookPath(name); err == nil {
			h.init = path
			break
		}
	}
	return h, nil
}

// readCgroups finds which controllers' limits can be set: cgroup.controllers in v2, the mounted hierarchies in v1.
func (h *host) readCgroups() {
	const mount = "/sys/fs/cgroup"
	var st unix.Statfs_t
	if unix.Statfs(mount, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
		h.CgroupV2 = true
		b, _ := os.ReadFile(filepath.Join(mount, "cgroup.controllers"))
		h.Controllers = strings.Fields(string(b))
		h.Swap = exists("/proc/swaps")
		return
	}
	entries, _ := os.ReadDir(mount)
	for _, e := range entries {
		h.Controllers = append(h.Controllers, strings.Split(e.Name(), ",")...)
	}
	h.Swap = exists(filepath.Join(mount, "memory", "memory.memsw.limit_in_bytes"))
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

// devices resolves the devices of a container; a privileged one gets all of the host's.
func devices(c pod.Container) ([]ocispec.Device, error) {
	var all []ocispec.Device
	for _, d := range c.Isolation.Devices {
		found, err := device(d)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if !c.Isolation.Privileged {
		return all, nil
	}
	every, err := deviceTree("/dev", "/dev", "rwm")
	return append(all, every...), err
}

// device is one device node, or all below a directory.
func device(d pod.Device) ([]ocispec.Device, error) {
	info, err := os.Stat(d.Source)
	if err != nil {
		return nil, fmt.Errorf("cannot add device: %w", err)
	}
	if info.IsDir() {
		return deviceTree(d.Source, d.Target, d.Permissions)
	}
	node, ok := deviceNode(d.Source, d.Target, d.Permissions)
	if !ok {
		return nil, fmt.Errorf("cannot add device: %s is no device", d.Source)
	}
	return []ocispec.Device{node}, nil
}

// deviceTree is the device nodes below a directory; file systems of a container's own are left out.
func deviceTree(from, to, permissions string) ([]ocispec.Device, error) {
	var all []ocispec.Device
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone while we look
		}
		if err != nil {
			return err
		}
		if e.IsDir() && from == "/dev" {
			switch path {
			case "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd":
				return fs.SkipDir
			}
		}
		if e.Type()&fs.ModeDevice == 0 || path == "/dev/console" || path == "/dev/ptmx" {
			return nil
		}
		rel, err := filepath.Rel(from, path)
		if node, ok := deviceNode(path, filepath.Join(to, rel), permissions); ok && err == nil {
			all = append(all, node)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot add devices: %w", err)
	}
	return all, nil
}

func deviceNode(source, target, permissions string) (ocispec.Device, bool) {
	var st unix.Stat_t
	if unix.Stat(source, &st) != nil {
		return ocispec.Device{}, false
	}
	kind := ""
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		kind = "c"
	case unix.S_IFBLK:
		kind = "b"
	default:
		return ocispec.Device{}, false
	}
	if target == "" {
		target = source
	}
	return ocispec.Device{
		Path: target, Type: kind, Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)),
		Mode: st.Mode & 0o777, UID: st.Uid, GID: st.Gid, Permissions: permissions,
	}, true
}
