package pod

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

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

// Denial is a port that a container could not bind, since another in its cell had it.
type Denial struct {
	// Container and Service are who could not, By is the container that had the port.
	Container, Service string
	Listen
	By string
}

// Denials joins lists of them, sorted, each once.
func Denials(lists ...[]Denial) []Denial {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b Denial) int {
		return cmp.Or(strings.Compare(a.Container, b.Container), cmp.Compare(a.Port, b.Port), strings.Compare(a.Protocol, b.Protocol), strings.Compare(a.By, b.By))
	})
	return slices.Compact(all)
}
