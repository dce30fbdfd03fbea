package ocispec

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pcompose/pcompose/pod"
)

const defaultShmSize = 64 << 20

// kernelMounts are what every container has; a privileged one may write to /sys.
func kernelMounts(in *Input) []specs.Mount {
	access := "ro"
	if in.Container.Isolation.Privileged {
		access = "rw"
	}
	shm := in.Container.ShmSize
	if shm == 0 {
		shm = defaultShmSize
	}
	sys := specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", access}}
	if in.HostNetwork && in.Host.Rootless || in.apart() {
		// A user namespace may not mount a sysfs of a network namespace it does not own.
		sys = specs.Mount{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"rprivate", "nosuid", "noexec", "nodev", "ro", "rbind"}}
	}
	iso, cgroups := in.Container.Isolation, access
	proc := specs.Mount{Destination: "/proc", Type: "proc", Source: "proc", Options: append([]string{"nosuid", "noexec", "nodev"}, iso.ProcOptions...)}
	if iso.PID == pod.NamespaceHost && in.confined() {
		// Nor a proc of a PID namespace that is not its own.
		proc = specs.Mount{Destination: "/proc", Type: "bind", Source: "/proc", Options: []string{"rprivate", "nosuid", "noexec", "nodev", "rbind"}}
	}
	if iso.WritableCgroups {
		cgroups = "rw"
	}
	terminals := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if in.identities().hasGID(5) { // the group tty of Debian and most others
		terminals = append(terminals, "gid=5")
	}
	mounts := []specs.Mount{
		proc,
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		sys,
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: terminals},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm",
			Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=" + strconv.FormatInt(shm, 10)}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"rprivate", "nosuid", "noexec", "nodev", "relatime", cgroups}},
	}
	return ipcMounts(in, mounts)
}

// ipcMounts have the /dev/shm that goes with the IPC namespace. /dev/mqueue is the namespace's by itself (mq_overview(7)).
func ipcMounts(in *Input, mounts []specs.Mount) []specs.Mount {
	ipc := in.Container.Isolation.IPC
	bind := []string{"rbind", "rprivate", "nosuid", "noexec", "nodev", "rw"}
	for i, m := range mounts {
		switch {
		case m.Destination == "/dev/mqueue" && ipc == pod.NamespaceHost && in.confined():
			// The kernel mounts it for the owner of the IPC namespace alone.
			mounts[i] = specs.Mount{Destination: m.Destination, Type: "bind", Source: m.Destination, Options: bind}
		case m.Destination != "/dev/shm":
		case ipc == pod.NamespaceHost:
			mounts[i] = specs.Mount{Destination: m.Destination, Type: "bind", Source: m.Destination, Options: bind}
		case joined(ipc): // known when it starts, as its namespace is
			mounts[i] = specs.Mount{Destination: m.Destination, Type: "bind", Source: string(ipc), Options: bind}
		case ipc == pod.NamespaceShareable:
			mounts[i] = specs.Mount{Destination: m.Destination, Type: "bind", Source: in.Shm, Options: bind}
		}
	}
	return slices.DeleteFunc(mounts, func(m specs.Mount) bool {
		return m.Destination == "/dev/shm" && ipc == pod.NamespaceNone ||
			m.Destination == "/dev/mqueue" && m.Type == "bind" && !in.Host.MQueue
	})
}

// mounts puts parents before children. What the user mounts takes the place of ours on the same target, and of ours
// below it: a bind of /dev brings its own /dev/pts.
func (b *builder) mounts() error {
	var own []specs.Mount
	taken := map[string]bool{}
	for _, m := range b.in.Mounts {
		made, err := b.mount(m)
		if err != nil {
			return fmt.Errorf("cannot mount at %q: %w", m.Target, err)
		}
		taken[made.Destination] = true
		own = append(own, made)
	}
	for _, f := range b.in.Files {
		target, err := target(f.Target)
		if err != nil {
			return fmt.Errorf("cannot mount file %q: %w", f.Target, err)
		}
		if !taken[target] {
			own = append(own, fileMount(f.Source, target, f.ReadOnly))
		}
	}
	slices.SortStableFunc(own, func(a, b specs.Mount) int {
		return strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/")
	})
	all := slices.DeleteFunc(kernelMounts(b.in), func(m specs.Mount) bool {
		for dir := m.Destination; dir != "/"; dir = path.Dir(dir) {
			if taken[dir] {
				return true
			}
		}
		return false
	})
	all = append(all, own...)
	if b.c.Init {
		init := fileMount(b.in.InitPath, initTarget, true)
		all = append(all, init)
	}
	b.spec.Mounts = all
	return nil
}

// fileMount may be executed: configs are often scripts.
func fileMount(source, target string, readOnly bool) specs.Mount {
	return specs.Mount{Destination: target, Type: "bind", Source: source,
		Options: []string{"bind", "rprivate", "nosuid", "nodev", access(readOnly)}}
}

func access(readOnly bool) string {
	if readOnly {
		return "ro"
	}
	return "rw"
}

func target(p string) (string, error) {
	if !path.IsAbs(p) {
		return "", errors.New("its path in the container is not absolute")
	}
	if p = path.Clean(p); p == "/" {
		return "", errors.New("it would replace the container's root")
	}
	return p, nil
}

func (b *builder) mount(m Mount) (specs.Mount, error) {
	at, err := target(m.Target)
	if err != nil {
		return specs.Mount{}, err
	}
	if m.Type == pod.MountTmpfs {
		return tmpfs(m, at), nil
	}
	if !path.IsAbs(m.HostPath) {
		return specs.Mount{}, fmt.Errorf("source %q is not an absolute path", m.HostPath)
	}
	if m.Type == pod.MountImage {
		m.ReadOnly = true
	}
	if m.SELinux != "" && b.in.Host.SELinux {
		b.warn("the option %s of the mount at %s is not applied: containers are not labelled yet", m.SELinux, m.Target)
	}
	options, err := b.bindOptions(m.Mount)
	return specs.Mount{Destination: at, Type: "bind", Source: m.HostPath, Options: options}, err
}

// tmpfs has the defaults of docker and podman; tmpcopyup shows what the image has there.
func tmpfs(m Mount, at string) specs.Mount {
	mode := m.Mode
	if mode == 0 {
		mode = 0o1777
	}
	options := []string{"rprivate", "noexec", "nosuid", "nodev", access(m.ReadOnly), "tmpcopyup", fmt.Sprintf("mode=%o", mode)}
	if m.Size > 0 {
		options = append(options, "size="+strconv.FormatInt(m.Size, 10))
	}
	for _, o := range m.Options {
		options = slices.DeleteFunc(options, func(d string) bool { return d == opposite(o) || d == o })
		if o != "notmpcopyup" { // no runtime knows the word
			options = append(options, o)
		}
	}
	return specs.Mount{Destination: at, Type: "tmpfs", Source: "tmpfs", Options: options}
}

// opposite is the default that an option takes back: runtimes differ in which of two wins.
func opposite(option string) string {
	switch option {
	case "exec", "suid", "dev":
		return "no" + option
	case "notmpcopyup":
		return "tmpcopyup"
	}
	return ""
}

func (b *builder) bindOptions(m pod.Mount) ([]string, error) {
	bind, readOnly := "rbind", access(m.ReadOnly)
	switch m.Recursive {
	case "", "enabled", "writable":
	case "disabled":
		bind = "bind"
	case "readonly":
		if !m.ReadOnly {
			return nil, errors.New("recursive: readonly needs read_only: true")
		}
		// mount_setattr(2), Linux 5.12.
		readOnly = "rro"
	default:
		return nil, fmt.Errorf("recursive %q is not one of enabled, disabled, writable, readonly", m.Recursive)
	}
	propagation := m.Propagation
	switch propagation {
	case "":
		propagation = "rprivate"
	case "private", "rprivate":
	case "slave", "rslave":
		// The mount receives nothing while the root above it is private; shared, once set, includes it.
		if b.spec.Linux.RootfsPropagation == "" {
			b.spec.Linux.RootfsPropagation = "rslave"
		}
	case "shared", "rshared":
		b.spec.Linux.RootfsPropagation = "shared"
	default:
		return nil, fmt.Errorf("propagation %q is not one of private, rprivate, shared, rshared, slave, rslave", propagation)
	}
	return []string{bind, propagation, readOnly}, nil
}
