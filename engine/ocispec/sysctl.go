package ocispec

import (
	"fmt"
	"slices"
	"strings"
)

// sysctls lets through what belongs to a namespace of the container; anything else would change the host. net.* goes to
// the network namespace joined, so it is the cell's: every container of the cell sees it.
func (b *builder) sysctls() error {
	names := make([]string, 0, len(b.c.Isolation.Sysctls))
	for name := range b.c.Isolation.Sysctls {
		names = append(names, name)
	}
	slices.Sort(names)
	set := map[string]string{}
	if b.c.Domainname != "" {
		// The specification's domainname field is not known to runc 1.1 and crun 1.8.
		set["kernel.domainname"] = b.c.Domainname
	}
	for _, name := range names {
		// sysctl(8) takes both separators; a container must not reach another key by mixing them.
		key := strings.ReplaceAll(name, "/", ".")
		switch {
		case strings.Contains(key, "..") || strings.ContainsAny(key, "\x00 "):
			return fmt.Errorf("sysctl %q: bad name", name)
		case strings.HasPrefix(key, "net."):
			if b.in.HostNetwork {
				return fmt.Errorf("sysctl %q: it would change the host, whose network this container uses", name)
			}
		case key == "kernel.domainname" || strings.HasPrefix(key, "fs.mqueue.") || slices.Contains(ipcSysctls(), key):
		case key == "kernel.hostname":
			return fmt.Errorf("sysctl %q: say hostname: instead", name)
		default:
			return fmt.Errorf("sysctl %q: it belongs to no namespace of a container and would change the host", name)
		}
		set[key] = b.c.Isolation.Sysctls[name]
	}
	if len(set) > 0 {
		b.spec.Linux.Sysctl = set
	}
	return nil
}

// ipcSysctls are those of the IPC namespace, see ipc_namespaces(7).
func ipcSysctls() []string {
	return []string{"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
		"kernel.shmmni", "kernel.shm_rmid_forced"}
}
