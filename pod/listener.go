package pod

import "net/netip"

// Listener is a socket of a container that waits for connections or packets, as the kernel has it.
type Listener struct {
	Container string
	// Protocol is TCP or UDP.
	Protocol string
	// Address is where it listens: "0.0.0.0" and "::" are every address.
	Address string
	Port    uint16
	// PID and Process are of the first process that has it, as the host sees it.
	PID     int
	Process string
}

// Is says whether it is a listener on a declared port.
func (l Listener) Is(declared Listen) bool {
	return l.Port == declared.Port && l.Protocol == declared.Protocol
}

// Loopback says that only those in the same network namespace reach it.
func (l Listener) Loopback() bool {
	addr, err := netip.ParseAddr(l.Address)
	return err == nil && addr.IsLoopback()
}
