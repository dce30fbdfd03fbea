package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// beside is an outlet by a process of the pod beside its supervisor, whose death it survives: pasta, or our own stack. It
// needs no privileges on the host. Published ports do not pass through it, so that its end breaks none of their connections.
type beside struct {
	config Config
	cell   *namespace
	// over is closed when nobody is to start the process again.
	over chan struct{}

	mu      sync.Mutex
	process *companion
	// tap is that of our own stack, nil for none: it outlives the process, with the pod's addresses and routes.
	tap *os.File
	// v4 and v6 are the pod's, bytes is the MTU of its link.
	v4, v6 netip.Addr
	bytes  int
}

// Waits between two starts of a process that does not live: doubled from the first to the last, anew after a steady life.
const (
	backoffFirst = 100 * time.Millisecond
	backoffLast  = 5 * time.Second
	steadyLife   = 10 * time.Second
)

// attachBeside starts the process, in place of one that a dead pod of the same id left.
func attachBeside(c Config, cell *namespace) (outlet, error) {
	b, err := newBeside(c, cell)
	if err != nil {
		return nil, err
	}
	if err := b.begin(); err != nil {
		return nil, errors.Join(err, b.detach())
	}
	return b, nil
}

// findBeside takes over a process that lives, and starts one where none does.
func findBeside(c Config, cell *namespace) (outlet, error) {
	b, err := newBeside(c, cell)
	if err != nil {
		return nil, err
	}
	if b.process = findCompanion(pidFile(c.Dir)); b.process == nil || b.look() != nil {
		if err := b.begin(); err != nil {
			b.release()
			return nil, err
		}
		return b, nil
	}
	go b.watch(b.process)
	return b, nil
}

func newBeside(c Config, cell *namespace) (*beside, error) {
	if c.Dir == "" {
		return nil, errors.New("it has no run directory")
	}
	b := &beside{config: c, cell: cell, over: make(chan struct{})}
	if c.tap != nil {
		var err error
		if b.tap, err = duplicate(c.tap); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// begin starts the process for the first time.
func (b *beside) begin() error {
	if b.process != nil {
		b.process.file.Close()
		b.process = nil
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	defer h.Close()
	used, err := usedPrefixes(h)
	if err != nil {
		return err
	}
	if b.v4, _, err = pick(b.config.Name, b.config.Pools, used); err != nil {
		return err
	}
	if hasIPv6() {
		b.v6 = address6(b.v4)
	}
	p, err := b.start()
	if err != nil {
		return err
	}
	b.process = p
	go b.watch(p)
	return nil
}

// start starts the process, and the next best one where that cannot be, and looks at what it has made.
func (b *beside) start() (*companion, error) {
	if err := endCompanions(pidFile(b.config.Dir)); err != nil {
		return nil, err
	}
	way := wayOut{mark: pidFile(b.config.Dir), cell: b.cell, v4: b.v4, v6: b.v6, id: b.config.ID}
	way.prefix, way.gateway = b.subnet()
	p, err := b.startKind(way)
	if err != nil {
		if fix := tapFix(); fix != "" {
			err = errors.New(fix)
		}
		return nil, fmt.Errorf("cannot join the pod to the host's network: %w", err)
	}
	if err := b.look(); err != nil {
		return nil, errors.Join(err, p.kill(), p.file.Close())
	}
	return p, nil
}

func (b *beside) startKind(way wayOut) (*companion, error) {
	o := b.config.Outlet
	if o.Kind != pod.OutletPasta {
		return b.startBuiltIn(way)
	}
	p, err := startPasta(o, way)
	if err == nil || !o.Fallback {
		return p, err
	}
	// Without a network that is up, say: the pasta of 2023 wants one.
	b.config.warn("%v: the built-in network takes its place", err)
	p, builtInErr := b.startBuiltIn(way)
	if builtInErr != nil {
		return nil, errors.Join(err, builtInErr)
	}
	b.config.Outlet = pod.Outlet{Kind: pod.OutletBuiltIn}
	return p, nil
}

// wayOut is what a process is to make: the pod's link with its addresses and default routes.
type wayOut struct {
	mark    string
	id      string
	cell    *namespace
	v4, v6  netip.Addr
	prefix  int
	gateway netip.Addr
}

// subnet is that of the pod's address, and the gateway in it.
func (b *beside) subnet() (bits int, gateway netip.Addr) {
	for _, pool := range b.config.Pools {
		if pool.Contains(b.v4) {
			return pool.Bits(), address(number(pool.Masked().Addr()) + uint32(1)<<(32-pool.Bits()) - 2)
		}
	}
	return 32, b.v4
}

// look reads the pod's addresses from its link: the user's options for pasta may have changed them.
func (b *beside) look() error {
	h, err := b.cell.route()
	if err != nil {
		return fmt.Errorf("cannot open a netlink socket in the pod: %w", err)
	}
	defer h.Close()
	link, err := h.LinkByName(podLink)
	if err != nil {
		return fmt.Errorf("cannot find %s of the pod: %w", podLink, err)
	}
	addrs, err := h.AddrList(link, unix.AF_UNSPEC)
	if err != nil {
		return fmt.Errorf("cannot list addresses of the pod: %w", err)
	}
	b.bytes, b.v6 = link.Attrs().MTU, netip.Addr{}
	for _, a := range addrs {
		switch addr := fromIPNet(a.IPNet).Addr(); {
		case addr.Is4():
			b.v4 = addr
		case !addr.IsLinkLocalUnicast() && !b.v6.IsValid():
			b.v6 = addr
		}
	}
	return nil
}

// watch starts the process again whenever it has ended, until it is no more ours.
func (b *beside) watch(p *companion) {
	wait := time.Duration(0)
	for {
		begun := time.Now()
		if p.wait() != nil {
			return
		}
		b.config.warn("the pod's way to the host, process %d, has ended and is started again", p.pid)
		if time.Since(begun) >= steadyLife {
			wait = 0
		}
		for p = nil; p == nil; wait = min(max(2*wait, backoffFirst), backoffLast) {
			select {
			case <-b.over:
				return
			case <-time.After(wait):
			}
			if p = b.again(); p == nil {
				continue
			}
		}
	}
}

// again starts the process again; nil where that failed, or it is to be no more.
func (b *beside) again() *companion {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isOver() {
		return nil
	}
	p, err := b.start()
	if err != nil {
		b.config.warn("%v", err)
		return nil
	}
	b.process.file.Close()
	b.process = p
	return p
}

func (b *beside) isOver() bool {
	select {
	case <-b.over:
		return true
	default:
		return false
	}
}

func (b *beside) address() (v4, v6, gateway netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if mapsGateway(b.config.Outlet) {
		_, gateway = b.subnet()
		return b.v4, b.v6, gateway
	}
	return b.v4, b.v6, hostAddress()
}

func (b *beside) mtu() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

func (b *beside) routes() bool { return false }

func (b *beside) forward([]way) error { return nil }

func (b *beside) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isOver() {
		return
	}
	close(b.over)
	if b.process != nil {
		b.process.file.Close()
	}
	if b.tap != nil {
		b.tap.Close()
	}
}

func (b *beside) detach() error {
	b.release()
	return endCompanions(pidFile(b.config.Dir))
}

// EndOutlet ends the processes beside a pod, and all that it made, given the pod's run directory; nil where there is none.
func EndOutlet(dir string, o pod.Outlet) error {
	if (Config{Outlet: o}).beside() {
		return errors.Join(endCompanions(pidFile(dir)), endCompanions(porterFile(dir)))
	}
	return nil
}

// warn says what nobody asked for.
func (c Config) warn(format string, args ...any) {
	if c.Warn != nil {
		c.Warn(fmt.Sprintf(format, args...))
	}
}

// readPID is for a process that writes its pid itself.
func readPID(mark string) (*companion, error) {
	if c := findCompanion(mark); c != nil {
		return c, nil
	}
	if _, err := os.Stat(mark); err != nil {
		return nil, err
	}
	return nil, errors.New("it ended at once")
}
