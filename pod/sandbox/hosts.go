package sandbox

import (
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
	others := slices.DeleteFunc(slices.Clone(spec.Containers), func(o pod.Container) bool { return o.Name == c.Name })
	slices.SortFunc(others, func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	own, seen := See(c.Cell, topology, []pod.Container{c}), See(c.Cell, topology, others)
	if len(own) == 0 { // it has no network of the pod
		own = []Seen{{Container: c, Addrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}}}
	}
	count := map[string]int{}
	for _, s := range append(slices.Clone(own), seen...) {
		for _, name := range s.Names() {
			count[name]++
		}
	}
	resolves := slices.ContainsFunc(spec.Cells, func(cell pod.Cell) bool { return cell.Name == c.Cell && cell.Resolver })
	for i, s := range append(own, seen...) {
		var names []string
		for _, name := range hostnames(s.Container) {
			// A hostname gives way to what another container is called.
			if i == 0 || count[name] == 0 {
				names = append(names, name)
			}
		}
		// Without a resolver nobody would tell whether a successor is ready.
		hidden := !resolves && i > 0 && s.Container.Succeeds != ""
		names = append(names, slices.DeleteFunc(s.Names(), func(name string) bool { return hidden || resolves && count[name] != 1 })...)
		f.lines(s, names)
	}
	for _, a := range c.Aliases {
		if count[a.Name] == 0 && a.Service != "" { // others are left to the resolver, which sees them come and go
			f.alias(a, seen)
		}
	}
	f.extra(c.ExtraHosts, gateway)
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

// extra adds what the file says.
func (f *hostsFile) extra(hosts []pod.Host, gateway netip.Addr) {
	for _, h := range hosts {
		ip := h.IP
		if ip == pod.HostGateway {
			ip = gateway.String()
		}
		f.text.WriteString(ip + "\t" + h.Name + "\n")
	}
}

// alias adds a further name of a service.
func (f *hostsFile) alias(a pod.Alias, seen []Seen) {
	for _, s := range seen {
		if s.Container.Service == a.Service && !s.Container.OneOff {
			f.lines(s, []string{a.Name})
		}
	}
}

// hostnames are what a container calls itself. The full name comes first: hostname -f takes the first name of the line
// (hosts(5)).
func hostnames(c pod.Container) []string {
	if c.Hostname != "" && c.Domainname != "" {
		return []string{c.Hostname + "." + c.Domainname, c.Hostname}
	}
	return []string{c.Hostname}
}
