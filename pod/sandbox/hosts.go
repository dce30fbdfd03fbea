package sandbox

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// Hosts is the content of a container's /etc/hosts: localhost, its own names, those of the containers that it can reach
// with their services and aliases, and its extra_hosts, where host-gateway is the given address. A name in extra_hosts
// stands for what the file says alone, even if a service has that name. A name of several containers is left to the
// cell's resolver, which gives them in turn; where there is none, all are listed.
func Hosts(c pod.Container, spec pod.Spec, gateway netip.Addr) []byte {
	f := hostsFile{seen: map[string]bool{}, taken: map[string]bool{}}
	for _, name := range []string{"localhost", "ip6-localhost", "ip6-loopback"} {
		f.taken[name] = true
	}
	for _, h := range c.ExtraHosts {
		f.taken[h.Name] = true
	}
	f.text.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	topology := spec.Topology()
	own := See(c.Cell, topology, []pod.Container{c})
	others := slices.DeleteFunc(slices.Clone(spec.Containers), func(o pod.Container) bool { return o.Name == c.Name })
	slices.SortFunc(others, func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	seen := See(c.Cell, topology, others)
	shared := sharedNames(append(own, seen...))
	resolves := slices.ContainsFunc(spec.Cells, func(cell pod.Cell) bool { return cell.Name == c.Cell && cell.Resolver })
	for _, s := range append(own, seen...) {
		f.lines(s, slices.DeleteFunc(hostNames(s.Container), func(name string) bool { return resolves && shared[name] }))
	}
	for _, a := range c.Aliases {
		for _, s := range seen {
			if s.Container.Service == a.Service && !s.Container.OneOff {
				f.lines(s, []string{a.Name})
			}
		}
	}
	for _, h := range c.ExtraHosts {
		ip := h.IP
		if ip == pod.HostGateway {
			ip = gateway.String()
		}
		f.text.WriteString(ip + "\t" + h.Name + "\n")
	}
	return []byte(f.text.String())
}

// hostsFile is a hosts(5) file in the making.
type hostsFile struct {
	text strings.Builder
	// seen are the pairs of address and name that are there, taken the names that mean something else.
	seen, taken map[string]bool
}

// lines adds a line for each address of a container.
func (f *hostsFile) lines(s Seen, names []string) {
	for _, a := range s.Addrs {
		var fresh []string
		for _, name := range names {
			key := a.String() + " " + name
			if name != "" && !f.taken[name] && !f.seen[key] {
				f.seen[key] = true
				fresh = append(fresh, name)
			}
		}
		if len(fresh) > 0 {
			f.text.WriteString(a.String() + "\t" + strings.Join(fresh, " ") + "\n")
		}
	}
}

// hostNames are a container's names in a hosts file.
func hostNames(c pod.Container) []string {
	var full string
	if c.Hostname != "" && c.Domainname != "" {
		full = c.Hostname + "." + c.Domainname
	}
	// The full name comes first: hostname -f takes the first name of the line (hosts(5)).
	return append([]string{full, c.Hostname}, Names(c)...)
}

// Names are the names that others of the pod find a container by, beside its hostname.
func Names(c pod.Container) []string {
	names := []string{c.Name}
	if !c.OneOff {
		// A service is known by the containers that `up` starts, not by those of `run`.
		names = append(names, c.Service, fmt.Sprintf("%s-%d", c.Service, c.Replica))
	}
	for _, a := range c.Networks {
		names = append(names, a.Aliases...)
	}
	return names
}

// sharedNames are those of several containers.
func sharedNames(all []Seen) map[string]bool {
	owner, shared := map[string]string{}, map[string]bool{}
	for _, s := range all {
		for _, name := range hostNames(s.Container) {
			if who := owner[name]; who != "" && who != s.Container.Name {
				shared[name] = true
			}
			owner[name] = s.Container.Name
		}
	}
	return shared
}
