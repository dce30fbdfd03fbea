package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// newCell makes the namespace of a cell, or opens the one that its mode names.
func newCell(c pod.Cell) (ns *namespace, err error) {
	switch c.Mode {
	case "", pod.NetworkNone:
		if ns, err = newNamespace(c.Name); err == nil && len(c.Links) > 0 {
			err = ns.do(announce)
		}
	case pod.NetworkHost:
		ns = &namespace{name: c.Name}
		// That of the process's first thread, which is never moved.
		ns.file, err = os.Open("/proc/self/ns/net")
	default:
		ns = &namespace{name: c.Name}
		if c.Joined.Path == "" {
			return nil, fmt.Errorf("cannot make cell %q: network mode %q leads to no network", c.Name, c.Mode)
		}
		if ns.file, err = os.Open(c.Joined.Path); err == nil {
			if kind, nsErr := unix.IoctlRetInt(ns.fd(), unix.NS_GET_NSTYPE); nsErr != nil || kind != unix.CLONE_NEWNET {
				err = errors.Join(fmt.Errorf("%s is no network namespace", c.Joined.Path), ns.file.Close())
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make cell %q: %w", c.Name, err)
	}
	ns.mode = c.Mode
	return ns, nil
}

// announce makes links of the namespace tell the network their addresses as they come up: an address that was
// another's is known by another hardware address.
func announce() error {
	for _, name := range []string{"net/ipv4/conf/default/arp_notify", "net/ipv6/conf/default/ndisc_notify"} {
		if err := writeSysctl(name, "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// settleCells makes the namespaces that are not there yet, in the order of the cells, and gives those that no cell
// wants any more. On an error what was made stays, and the next call goes on from there.
func (s *inside) settleCells(cells []pod.Cell) (gone []*namespace, err error) {
	var settled []*namespace
	for _, c := range cells {
		ns := s.cell(c.Name)
		if ns == nil || ns.mode != c.Mode {
			if ns, err = newCell(c); err != nil {
				break
			}
		}
		settled = append(settled, ns)
	}
	for _, ns := range s.cells {
		if slices.Contains(settled, ns) {
			continue
		}
		if err != nil {
			settled = append(settled, ns)
			continue
		}
		gone = append(gone, ns)
	}
	s.cells = settled
	return gone, err
}

// cell finds a cell's namespace, nil for none; "" is the first.
func (s *inside) cell(name string) *namespace {
	if name == "" {
		return s.cells[0]
	}
	if i := slices.IndexFunc(s.cells, func(ns *namespace) bool { return ns.name == name }); i >= 0 {
		return s.cells[i]
	}
	return nil
}
