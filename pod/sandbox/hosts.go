package sandbox

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// Hosts is the content of a container's /etc/hosts: localhost, its own hostname, the services, containers and
// hostnames of its cell and its links, which are all at 127.0.0.1, and its extra_hosts, where host-gateway is the given address.
// A name in extra_hosts stands for what the file says alone, even if a service has that name.
func Hosts(c pod.Container, all []pod.Container, gateway netip.Addr) []byte {
	var b strings.Builder
	seen := map[string]bool{}
	for _, h := range c.ExtraHosts {
		seen[h.Name] = true
	}
	line := func(ip string, names ...string) {
		var fresh []string
		for _, name := range names {
			if name != "" && !seen[name] {
				seen[name] = true
				fresh = append(fresh, name)
			}
		}
		if len(fresh) > 0 {
			b.WriteString(ip + "\t" + strings.Join(fresh, " ") + "\n")
		}
	}
	b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	for _, name := range []string{"localhost", "ip6-localhost", "ip6-loopback"} {
		seen[name] = true
	}
	names := func(c pod.Container) []string {
		var full string
		if c.Hostname != "" && c.Domainname != "" {
			full = c.Hostname + "." + c.Domainname
		}
		// The full name comes first: hostname -f takes the first name of the line (hosts(5)).
		names := []string{full, c.Hostname, c.Name}
		if !c.OneOff {
			// A service is known by the containers that `up` starts, not by those of `run`.
			names = append(names, c.Service)
		}
		return names
	}
	line("127.0.0.1", names(c)...)
	rest := slices.SortedFunc(slices.Values(all), func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	for _, other := range rest {
		if other.Cell == c.Cell && other.Name != c.Name {
			line("127.0.0.1", names(other)...)
		}
	}
	for _, a := range c.Aliases {
		line("127.0.0.1", a.Name)
	}
	for _, h := range c.ExtraHosts {
		ip := h.IP
		if ip == pod.HostGateway {
			ip = gateway.String()
		}
		b.WriteString(ip + "\t" + h.Name + "\n")
	}
	return []byte(b.String())
}
