package ocispec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
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
	switch {
	case b.c.Domainname == "":
	case b.c.Isolation.UTS != "":
		return fmt.Errorf("domainname %q: it would change the UTS namespace that uts: shares", b.c.Domainname)
	case b.in.confined():
		// The sysctl is the host's root's to write, in any namespace (kernel/utsname_sysctl.c). A runtime that does not know the
		// field leaves the domain out of uname(2); hostname -f has it from the hosts file.
		b.spec.Domainname = b.c.Domainname
	default:
		// The specification's domainname field is not known to runc 1.1 and crun 1.8.
		set["kernel.domainname"] = b.c.Domainname
	}
	for _, name := range names {
		key, err := pod.Sysctl(name)
		switch {
		case err != nil:
			return fmt.Errorf("sysctl %q: %w", name, err)
		case strings.HasPrefix(key, "net.") && b.in.HostNetwork:
			return fmt.Errorf("sysctl %q: it would change the host, whose network this container uses", name)
		case b.c.Isolation.UTS != "" && key == "kernel.domainname":
			return fmt.Errorf("sysctl %q: it would change the UTS namespace that uts: shares", name)
		case b.c.Isolation.IPC == pod.NamespaceHost && !strings.HasPrefix(key, "net.") && key != "kernel.domainname":
			return fmt.Errorf("sysctl %q: it would change the host, whose IPC namespace this container uses", name)
		}
		set[key] = b.c.Isolation.Sysctls[name]
	}
	if len(set) > 0 {
		b.spec.Linux.Sysctl = set
	}
	return nil
}
