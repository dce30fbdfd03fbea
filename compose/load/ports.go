package load

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
)

// binding is a range of host ports that a service publishes.
type binding struct {
	service  string
	port     types.ServicePortConfig
	from, to uint64
}

// ports finds published ports that cannot be: no number, or two on one host port. They collide when address, protocol and
// number overlap, where no address is every address.
func (in *inspector) ports(model *types.Project) {
	var all []binding
	for _, name := range slices.Sorted(maps.Keys(model.Services)) {
		for _, p := range model.Services[name].Ports {
			at, path := in.portPlace(name, p), "services."+name+".ports"
			b, wrong, hint := readBinding(name, p)
			if wrong != "" {
				in.problem(at, path, wrong, hint)
				continue
			}
			if mode := model.Services[name].NetworkMode; mode == "host" || mode == "none" || compose.Inward(model, model.Services[name]) {
				continue // nothing is published: unsupported.go warns
			}
			if b.from != b.to {
				// A range leaves the choice to whoever starts the container; it collides only if it has no free port, which is known then.
				continue
			}
			if i := slices.IndexFunc(all, b.collides); i >= 0 {
				o := all[i]
				in.problem(at, path, fmt.Sprintf("the host port %d/%s is also published by service %q at %s", b.from, p.Protocol, o.service,
					in.portPlace(o.service, o.port).Relative(in.cwd)), "publish one of them on another port")
			}
			all = append(all, b)
		}
	}
}

// portPlace is where a port of a service was written.
func (in *inspector) portPlace(service string, p types.ServicePortConfig) compose.Position {
	return in.places.At(compose.Path(compose.PortKeys(service, p)...))
}

// readBinding is a published port of a service, or what is wrong with it and what to do about that.
func readBinding(service string, p types.ServicePortConfig) (b binding, wrong, hint string) {
	if p.Target == 0 || p.Target > 65535 {
		return b, fmt.Sprintf("the container port must be 1 to 65535, not %d", p.Target), ""
	}
	if p.Protocol != "tcp" && p.Protocol != "udp" {
		return b, fmt.Sprintf("the protocol %q is neither tcp nor udp", p.Protocol), ""
	}
	if _, err := netip.ParseAddr(p.HostIP); p.HostIP != "" && err != nil {
		return b, fmt.Sprintf("%q is no IP address", p.HostIP), ""
	}
	from, to, ok := portRange(p.Published)
	if !ok {
		return b, fmt.Sprintf("%q is no host port", p.Published), "write a number or a range of 1 to 65535"
	}
	return binding{service: service, port: p, from: from, to: to}, "", ""
}

// portRange reads a published port; "" and 0 leave it to the kernel.
func portRange(s string) (from, to uint64, ok bool) {
	if s == "" {
		return 0, 0, true
	}
	low, high, isRange := strings.Cut(s, "-")
	from, err := strconv.ParseUint(low, 10, 16)
	if err != nil {
		return 0, 0, false
	}
	if to = from; isRange {
		to, err = strconv.ParseUint(high, 10, 16)
	}
	return from, to, err == nil && from <= to
}

// collides says whether the kernel would refuse the second of two binds: 0.0.0.0 is every IPv4 address, no address is every one.
func (b binding) collides(o binding) bool {
	if b.from == 0 || b.port.Protocol != o.port.Protocol || b.to < o.from || o.to < b.from {
		return false
	}
	x, y := hostAddr(b.port.HostIP), hostAddr(o.port.HostIP)
	if !x.IsValid() || !y.IsValid() || x == y {
		return true
	}
	return (x.IsUnspecified() || y.IsUnspecified()) && x.Is4() == y.Is4()
}

// hostAddr is the zero address, every one of both families, for "".
func hostAddr(s string) netip.Addr {
	addr, _ := netip.ParseAddr(s)
	return addr.Unmap()
}
