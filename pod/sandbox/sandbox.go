// Package sandbox is the outside of a pod: its network namespaces, addresses, names and published ports.
//
// A sandbox belongs to one supervisor process, in the host's network namespace. Nothing of it is shared with
// other pods: no bridge, no common table. Every name on the host (link, table) is a function of the pod's id, so
// that Create replaces what a crash left and Remove needs nothing but the id.
//
// The first cell is the router of a pod that has others: bridges and rules are in its namespace, so that several
// cells, like one, are a link and a table to the host. A pod of one cell has none of that.
//
//	host                                       pod, cell "default"
//	pc<hash> 10.89.255.254/32  ── veth ──  eth0 10.89.x.y/32, default route by 10.89.255.254
//	                                       br<hash> a Compose network: its gateway, pc<hash> ── veth ── eth0, cell "web-2"
//	nftables table inet pcompose-<id>: masquerade, DNAT of published ports, drop of what was not published
//	                                       table inet pcompose: what networks can reach, published ports to cells in turn
//	listening sockets of the published ports, held by the supervisor: localhost is served through them
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/pcompose/pcompose/pod"
)

// Config says which sandbox to make. A later Adopt has the same, with what Arrange was asked for last.
type Config struct {
	// ID is unique on the machine; everything the sandbox makes on the host is named from it.
	ID string
	// Name is the pod's name; its address is chosen by it, so that a pod tends to keep its address.
	Name string
	// Cells are the network namespaces; the first is the router, with the way out. None is pod.DefaultCell alone.
	Cells []pod.Cell
	// Networks are the project's, their pools completed; Members says who is in which cell.
	Networks []pod.Network
	Members  []pod.Member
	// Hubs are those of shared networks, by Name (see NewHub). They stay the caller's, open as long as the network is there.
	Hubs map[string]*os.File
	// Out are containers that are not ready (see Ready).
	Out []string
	// Pools are IPv4 prefixes that pod addresses come from, the first that no host route overlaps; nil is DefaultPools.
	Pools []netip.Prefix
	// LockFile is made if missing and locked (flock) while an address is chosen; one for all pods of the machine.
	LockFile string
	// Outlet is the way to the host. Dir is the pod's run directory, which one of a process beside the pod needs.
	Outlet pod.Outlet
	Dir    string
	tap    *os.File
	// Warn is told what goes wrong later; nil for nobody.
	Warn func(string)
}

// Sandbox is the network of one pod. Its methods may be called from several goroutines.
type Sandbox struct {
	// mu guards what follows.
	mu sync.Mutex
	inside
	listeners []*listener
	// porter serves the ports; nil where this process does, those of localhost.
	porter *porter
	closed bool
}

// inside is what there is in the pod's namespaces.
type inside struct {
	config Config
	outlet outlet
	cells  []*namespace
	layout layout
	// bare says that the router surely has no table; rules are nil where it is not known what is in it.
	bare  bool
	rules *rulesInForce
	// wired are the wires that are known to be as the layout has them, by port.
	wired map[string]wire
	// out are the containers that are not ready.
	out map[string]bool
}

// Create makes the namespaces of a pod and joins them to the host. What a dead pod of the same id left is
// replaced. On an error nothing is left; after a crash Remove takes away what there is.
func Create(ctx context.Context, c Config) (*Sandbox, error) {
	s, err := create(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("cannot create sandbox of pod %q: %w", c.Name, err)
	}
	return s, nil
}

func create(ctx context.Context, c Config) (*Sandbox, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := newSandbox(c)
	s.bare = true
	if _, err := s.settleCells(c.Cells); err != nil {
		return nil, errors.Join(err, s.closeCells())
	}
	s.outlet, err = attach(c, s.cells[0])
	if err != nil {
		return nil, errors.Join(err, s.closeCells())
	}
	engage(s, &porter{config: c})
	if want, err := newLayout(c); err != nil || want.filtered() {
		if err == nil {
			err = s.arrange(ctx, c)
		}
		if err != nil {
			return nil, errors.Join(err, s.outlet.detach(), s.closeCells())
		}
	}
	return s, nil
}

func newSandbox(c Config) *Sandbox {
	s := &Sandbox{inside: inside{config: c, wired: map[string]wire{}, out: map[string]bool{}}}
	for _, container := range c.Out {
		s.out[container] = true
	}
	return s
}

// Adopt takes over the sandbox of a supervisor that died, from what Files gave: published ports are served again
// at once, those waiting in a listener's queue too. Links are used as they are, and an Arrange that was cut off is
// finished; rules are made anew, identically. A router whose namespace went with the last that held it is made anew, and the
// cells that live are wired to it. The files stay the caller's. On an error the sandbox on the host is left as it was, or can be
// adopted again.
func Adopt(ctx context.Context, c Config, files map[string]*os.File) (*Sandbox, error) {
	s, err := adopt(ctx, c, files)
	if err != nil {
		return nil, fmt.Errorf("cannot adopt sandbox of pod %q: %w", c.Name, err)
	}
	return s, nil
}

func adopt(ctx context.Context, c Config, files map[string]*os.File) (*Sandbox, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.tap = files[tapKey]
	s := newSandbox(c)
	// Its links to host and cells went with it.
	s.bare = files[netnsKey(c.Cells[0].Name)] == nil && slices.ContainsFunc(c.Cells, func(cell pod.Cell) bool { return files[netnsKey(cell.Name)] != nil })
	for i, cell := range c.Cells {
		var ns *namespace
		switch file := files[netnsKey(cell.Name)]; {
		case i == 0 && s.bare:
			ns, err = newCell(cell)
		case i > 0 && file == nil:
			continue // it was to be made when the last supervisor died
		default:
			ns, err = adoptNamespace(cell, file)
		}
		if err != nil {
			return nil, errors.Join(err, s.closeCells())
		}
		s.cells = append(s.cells, ns)
	}
	if s.bare {
		s.outlet, err = attach(c, s.cells[0])
	} else {
		s.outlet, err = findOutlet(c, s.cells[0])
	}
	if err != nil {
		return nil, errors.Join(err, s.closeCells())
	}
	s.listeners, err = adoptListeners(files)
	if err == nil && !s.outlet.routes() {
		var p *porter
		if p, err = findPorter(c, files); err == nil {
			engage(s, p)
		}
	}
	if err == nil {
		err = s.arrange(ctx, c)
	}
	if err == nil {
		err = s.outlet.forward(s.routes().ways)
	}
	if err != nil {
		release(s)
		return nil, errors.Join(err, s.closeListeners(), s.closeCells())
	}
	for _, l := range s.listeners {
		serve(s, l)
	}
	return s, nil
}

func (c Config) complete() (Config, error) {
	if c.ID == "" || c.LockFile == "" {
		return c, errors.New("it has no id or no lock file")
	}
	if len(c.Cells) == 0 {
		c.Cells = []pod.Cell{{Name: pod.DefaultCell}}
	}
	if c.Pools == nil {
		c.Pools = DefaultPools()
	}
	return c, nil
}

// Files are duplicates, the caller's to close, of what keeps the sandbox alive without its supervisor: the
// namespaces ("netns/<cell>"), the published ports ("listen/..."), and the tap of a way out ("outlet/..."). Adopt takes the same keys. After a Publish
// the keys tell which listeners are new and which are dropped.
func (s *Sandbox) Files() (map[string]*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := map[string]*os.File{}
	add := func(key string, f *os.File, err error) error {
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return fmt.Errorf("cannot duplicate %q of pod %q: %w", key, s.config.Name, err)
		}
		files[key] = f
		return nil
	}
	for _, ns := range s.cells {
		f, err := duplicate(ns.file)
		if err := add(netnsKey(ns.name), f, err); err != nil {
			return nil, err
		}
	}
	beside := s.outlet.files()
	if s.porter != nil {
		maps.Copy(beside, s.porter.files())
	}
	for key, file := range beside {
		f, err := duplicate(file)
		if err := add(key, f, err); err != nil {
			return nil, err
		}
	}
	for _, l := range s.listeners {
		for _, b := range l.backends {
			f, err := duplicate(l.socket)
			if err := add(l.key(b), f, err); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// NamespacePath is the path under which processes of this machine can join a cell's namespace while this
// process lives; "" for a cell there is not.
func (s *Sandbox) NamespacePath(cell string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ns := s.cell(cell); cell != "" && ns != nil {
		return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.fd())
	}
	return ""
}

// Address is the pod's address on its way out; v6 is invalid where the host has no IPv6.
func (s *Sandbox) Address() (v4, v6 netip.Addr) {
	v4, v6, _ = s.outlet.address()
	return v4, v6
}

// Gateway is the host's address seen from the pod: what host-gateway means. It is invalid where the host has none, and may
// change with the host's network.
func (s *Sandbox) Gateway() netip.Addr {
	_, _, gateway := s.outlet.address()
	return gateway
}

// Close stops serving the published ports and takes link, routes and rules off the host. The namespaces go when
// the last process and the last file of Files does. Idempotent.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	err := errors.Join(s.closeListeners(), endPorter(s), s.outlet.detach(), s.leaveHubs())
	if err != nil {
		return fmt.Errorf("cannot remove sandbox of pod %q: %w", s.config.Name, err)
	}
	s.closed = true
	return s.closeCells()
}

// Release lets go of the sandbox without taking it down, for a successor that adopts the files.
func (s *Sandbox) Release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	release(s)
	return errors.Join(s.closeListeners(), s.closeCells())
}

// engage has a process serve the ports, where all connections come by the held sockets.
func engage(s *Sandbox, p *porter) {
	if !s.outlet.routes() {
		s.porter = p
		p.again = func() { leadAgain(s) }
	}
}

func endPorter(s *Sandbox) error {
	if s.porter == nil {
		return nil
	}
	return s.porter.end()
}

// release leaves the processes beside the pod to themselves.
func release(s *Sandbox) {
	s.outlet.release()
	if s.porter != nil {
		s.porter.release()
	}
}

func (s *Sandbox) closeListeners() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.close())
	}
	s.listeners = nil
	return errors.Join(errs...)
}

func (s *inside) closeCells() error {
	var errs []error
	for _, ns := range s.cells {
		errs = append(errs, ns.file.Close())
	}
	return errors.Join(errs...)
}

func netnsKey(cell string) string { return "netns/" + cell }
