package sandbox

import "net/netip"

// secluded is the uplink of a pod without a way out: a user's, whose namespace does not own the host's network. Its
// containers reach each other, and published ports lead in by the held sockets alone.
type secluded struct{}

func attachUplink(c Config, cell *namespace) (uplink, error) {
	if c.Secluded {
		return secluded{}, nil
	}
	return attachVeth(c, cell)
}

func findUplink(c Config, cell *namespace) (uplink, error) {
	if c.Secluded {
		return secluded{}, nil
	}
	return findVeth(c, cell)
}

// address is where the proxy dials the first cell's containers.
func (secluded) address() (v4, v6, gateway netip.Addr) {
	return netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback(), netip.Addr{}
}

func (secluded) forward([]way) error { return nil }

func (secluded) detach() error { return nil }
