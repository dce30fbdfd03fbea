package sandbox

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// Hosts is the content of a container's /etc/hosts: localhost, its own names, those of the containers it can reach,
// and its extra_hosts, where host-gateway is the given address. Who shares its cell is at 127.0.0.1; others are at
// their address on the first network that both cells are on, or, by an alias, on the alias's network. Who is on no
// common network has no name. A service is at all of its replicas.
//
// A name in extra_hosts stands for what the file says alone, even if a service has that name. A hostname gives way to
// what another container is called.
func Hosts(c pod.Container, spec pod.Spec, gateway netip.Addr) []byte {
	h := &hostsFile{self: c, spec: spec, fixed: map[string]bool{}, given: map[string]bool{}, said: map[string]bool{}}
	h.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	for _, name := range []string{"localhost", "ip6-localhost", "ip6-loopback"} {
		h.fixed[name] = true
	}
	for _, e := range c.ExtraHosts {
		h.fixed[e.Name] = true
	}
	others := slices.DeleteFunc(slices.Clone(spec.Containers), func(o pod.Container) bool { return o.Name == c.Name })
	slices.SortFunc(others, func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	for _, o := range spec.Containers {
		for _, name := range called(o) {
			h.given[name] = true
		}
	}
	// The full name comes first: hostname -f takes the first name of the line (hosts(5)).
	own := append(hostnames(c), called(c)...)
	h.line("127.0.0.1", append(own, h.aliases(c, "127.0.0.1")["127.0.0.1"]...)...)
	for _, name := range hostnames(c) {
		h.fixed[name] = true
	}
	for _, o := range others {
		h.container(o)
	}
	for _, a := range c.Aliases {
		if !h.given[a.Name] && !slices.Contains(own, a.Name) {
			h.service(a)
		}
	}
	for _, e := range c.ExtraHosts {
		ip := e.IP
		if ip == pod.HostGateway {
			ip = gateway.String()
		}
		h.WriteString(ip + "\t" + e.Name + "\n")
	}
	return []byte(h.String())
}

// hostsFile is /etc/hosts on its way.
type hostsFile struct {
	strings.Builder
	self pod.Container
	spec pod.Spec
	// fixed names are settled; given ones are what containers are called; said are address and name of what is written.
	fixed, given, said map[string]bool
}

// line writes a line of those names that are not settled, and not there yet.
func (h *hostsFile) line(ip string, names ...string) {
	var fresh []string
	for _, name := range names {
		if name != "" && !h.fixed[name] && !h.said[ip+" "+name] {
			h.said[ip+" "+name] = true
			fresh = append(fresh, name)
		}
	}
	if len(fresh) > 0 {
		h.WriteString(ip + "\t" + strings.Join(fresh, " ") + "\n")
	}
}

// hostnames are what a container calls itself.
func hostnames(c pod.Container) []string {
	if c.Hostname != "" && c.Domainname != "" {
		return []string{c.Hostname + "." + c.Domainname, c.Hostname}
	}
	return []string{c.Hostname}
}

// called are the names of a container, and that of its service, which is known by the containers that `up` starts,
// not by those of `run`.
func called(c pod.Container) []string {
	if c.OneOff {
		return []string{c.Name}
	}
	return []string{c.Name, c.Service}
}

// container writes the names of another container.
func (h *hostsFile) container(o pod.Container) {
	at := h.address(o, "")
	aliases := h.aliases(o, at)
	if at != "" {
		var names []string
		for _, name := range hostnames(o) {
			if !h.given[name] {
				names = append(names, name)
			}
		}
		h.line(at, append(append(names, called(o)...), aliases[at]...)...)
	}
	// An alias may be on another network than the first.
	for _, a := range o.Networks {
		if ip := h.address(o, a.Network); ip != "" && ip != at {
			h.line(ip, aliases[ip]...)
		}
	}
}

// aliases are a container's names on its networks, by the address they are for.
func (h *hostsFile) aliases(o pod.Container, at string) map[string][]string {
	by := map[string][]string{}
	if o.OneOff {
		return by
	}
	for _, a := range o.Networks {
		ip := at
		if o.Name != h.self.Name {
			ip = h.address(o, a.Network)
		}
		by[ip] = append(by[ip], a.Aliases...)
	}
	return by
}

// service writes a name of the container's own for a service, at all of its replicas.
func (h *hostsFile) service(a pod.Alias) {
	for _, o := range h.spec.Containers {
		if o.Service == a.Service && !o.OneOff {
			if at := h.address(o, ""); at != "" {
				h.line(at, a.Name)
			}
		}
	}
}

// address is where a container is reached: on the given network, or on the first common one; "" where it is not.
func (h *hostsFile) address(o pod.Container, network string) string {
	if o.Cell == h.self.Cell {
		return "127.0.0.1"
	}
	mine, its := h.links(h.self.Cell), h.links(o.Cell)
	for _, l := range its {
		if network != "" && l.Network != network || !slices.ContainsFunc(mine, func(m pod.Link) bool { return m.Network == l.Network }) {
			continue
		}
		for _, s := range []string{l.IPv4, l.IPv6} {
			if p, err := netip.ParsePrefix(s); err == nil {
				return p.Addr().String()
			}
		}
	}
	return ""
}

// links are sorted by network.
func (h *hostsFile) links(cell string) []pod.Link {
	for _, c := range h.spec.Cells {
		if c.Name == cell {
			return c.Links
		}
	}
	return nil
}
