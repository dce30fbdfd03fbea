package pod

import (
	"errors"
	"slices"
	"strings"
)

// MinMemory is the least memory limit in bytes, docker's: with less, the container's init is killed before it can say why.
const MinMemory = 6 << 20

// AllCapabilities is the name by which Isolation's CapAdd and CapDrop mean every capability.
const AllCapabilities = "ALL"

// Capabilities are those of capabilities(7) up to Linux 5.9, which added the last one: sorted, with CAP_.
func Capabilities() []string {
	return []string{
		"CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "CAP_AUDIT_WRITE", "CAP_BLOCK_SUSPEND", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
		"CAP_KILL", "CAP_LEASE", "CAP_LINUX_IMMUTABLE", "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_MKNOD", "CAP_NET_ADMIN",
		"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_RAW", "CAP_PERFMON", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
		"CAP_SETUID", "CAP_SYSLOG", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE", "CAP_SYS_NICE",
		"CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_WAKE_ALARM",
	}
}

// Capability brings a name as users write it, in any case and with or without CAP_, to that of Capabilities, or to
// AllCapabilities; ok is false for a name that is not known.
func Capability(name string) (full string, ok bool) {
	short := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	if short == AllCapabilities {
		return short, true
	}
	full = "CAP_" + short
	return full, slices.Contains(Capabilities(), full)
}

// ValidName says whether a container may have a name: as docker has it, a letter or digit, then letters, digits and "_.-".
func ValidName(name string) bool {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("_.-", r)) {
			return false
		}
	}
	return name != ""
}

// UlimitNames are the names that a Ulimit can have, those of getrlimit(2), sorted.
func UlimitNames() []string {
	return []string{"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
		"rtprio", "rttime", "sigpending", "stack"}
}

// Sysctl brings the name of a sysctl to the form with dots. It fails for one that belongs to no namespace of a container
// and would change the host. One of net.* belongs to the network namespace, which every container of the cell sees.
func Sysctl(name string) (key string, err error) {
	// sysctl(8) takes both separators; a container must not reach another key by mixing them.
	key = strings.ReplaceAll(name, "/", ".")
	switch {
	case strings.Contains(key, "..") || strings.ContainsAny(key, "\x00 "):
		return "", errors.New("bad name")
	case key == "kernel.hostname":
		return "", errors.New("say hostname: instead")
	case strings.HasPrefix(key, "net."), strings.HasPrefix(key, "fs.mqueue."), slices.Contains(KernelSysctls(), key):
		return key, nil
	}
	return "", errors.New("it belongs to no namespace of a container and would change the host")
}

// KernelSysctls are the sysctls below kernel. that a container may set: those of the IPC namespace, see
// ipc_namespaces(7), and the domain name of the UTS namespace.
func KernelSysctls() []string {
	return []string{"kernel.domainname", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shm_rmid_forced",
		"kernel.shmall", "kernel.shmmax", "kernel.shmmni"}
}
