package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// porter is a process of the pod beside its supervisor that carries connections from the held sockets into the pod. It is
// there where all connections come that way, and as long as ports are published: so the death of the supervisor breaks none.
// What it is to do it is told over a socket, whose other end the keeper holds too.
type porter struct {
	config Config
	// again has all told that is known, to a process that was just started.
	again func()

	mu      sync.Mutex
	process *companion
	conn    *net.UnixConn
	// file is the socket for the keeper.
	file  *os.File
	cells map[string]*namespace
	ports map[string]told
	// backoff is the wait before the last start.
	backoff time.Duration
}

// told is what the process knows of a port.
type told struct {
	socket  hostSocket
	targets []target
}

const (
	portersKey = "outlet/ports/"
	// tellWithin bounds the wait for a process that does not listen.
	tellWithin = 5 * time.Second
)

func porterFile(dir string) string { return filepath.Join(dir, "ports.pid") }

// findPorter takes over the process that a dead supervisor left, if there is one and its socket was kept.
func findPorter(c Config, files map[string]*os.File) (*porter, error) {
	p := &porter{config: c}
	found := findCompanion(porterFile(c.Dir))
	if found == nil {
		return p, nil
	}
	kept := files[portersKey+strconv.Itoa(found.pid)]
	if kept == nil { // nobody can tell it anything
		return p, errors.Join(found.file.Close(), endCompanions(porterFile(c.Dir)))
	}
	if err := p.connect(kept); err != nil {
		return nil, errors.Join(err, found.file.Close())
	}
	p.process = found
	go p.watch(found)
	return p, nil
}

// connect takes a duplicate of this end of the socket.
func (p *porter) connect(file *os.File) error {
	conn, err := net.FileConn(file)
	if err != nil {
		return fmt.Errorf("cannot use the socket of the process that serves ports: %w", err)
	}
	ours, err := duplicate(file)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	p.conn, p.file = conn.(*net.UnixConn), ours
	p.cells, p.ports = map[string]*namespace{}, map[string]told{}
	return nil
}

// start starts the process, in place of one that is there.
func (p *porter) start() error {
	if err := endCompanions(porterFile(p.config.Dir)); err != nil {
		return err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	ours, its := os.NewFile(uintptr(fds[0]), "ports"), os.NewFile(uintptr(fds[1]), "ports")
	defer ours.Close()
	defer its.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"pcompose", PortsCommand, porterFile(p.config.Dir)}, Dir: "/", Env: []string{},
		Stderr: os.Stderr, ExtraFiles: []*os.File{its},
	}
	found, err := startCompanion(cmd, porterFile(p.config.Dir), (*exec.Cmd).Start)
	if err != nil {
		return err
	}
	if err := p.connect(ours); err != nil {
		return errors.Join(err, found.kill(), found.file.Close())
	}
	p.process = found
	go p.watch(found)
	return nil
}

// watch has a process that ends while there is something to serve replaced by the next.
func (p *porter) watch(found *companion) {
	begun := time.Now()
	if found.wait() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != found {
		return
	}
	p.letGo()
	p.config.warn("the process that serves published ports, %d, has ended and is started again", found.pid)
	p.backoff = min(max(2*p.backoff, backoffFirst), backoffLast)
	if time.Since(begun) >= steadyLife {
		p.backoff = 0
	}
	time.AfterFunc(p.backoff, p.again)
}

// letGo leaves the process to itself.
func (p *porter) letGo() {
	if p.process == nil {
		return
	}
	p.process.file.Close()
	p.conn.Close()
	p.file.Close()
	p.process, p.conn, p.file = nil, nil, nil
}

func (p *porter) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.letGo()
}

// end ends the process and all its connections.
func (p *porter) end() error {
	p.release()
	return endCompanions(porterFile(p.config.Dir))
}

// tell tells the process what is new: which sockets there are, where they lead, and which cells are left.
func (p *porter) tell(ls []*listener, cells []*namespace) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(ls) == 0 {
		if p.process == nil {
			return nil
		}
		p.letGo()
		return endCompanions(porterFile(p.config.Dir))
	}
	err := error(nil)
	if p.process == nil {
		err = p.start()
	}
	if err == nil {
		if err = p.tellAll(ls, cells); err != nil {
			err = errors.Join(err, p.process.kill()) // the next one is told everything
		}
	}
	if err != nil {
		return fmt.Errorf("cannot have published ports served: %w", err)
	}
	return nil
}

func (p *porter) tellAll(ls []*listener, cells []*namespace) error {
	fresh := len(p.ports) == 0 // or just taken over: it may serve what is no more
	for _, ns := range cells {
		if ns.mode == "" && p.cells[ns.name] != ns {
			if err := p.send(order{Cell: ns.name}, ns.file); err != nil {
				return err
			}
			p.cells[ns.name] = ns
		}
	}
	keep := order{Keep: true}
	for _, l := range ls {
		key := l.name()
		keep.Ports = append(keep.Ports, key)
		was, known := p.ports[key]
		targets := l.door.now()
		if known && was.socket == l.socket && reflect.DeepEqual(was.targets, targets) {
			continue
		}
		o := order{Port: key, Targets: wireTargets(targets)}
		var socket syscall.Conn
		if !known || was.socket != l.socket {
			socket = l.socket
		}
		if err := p.send(o, socket); err != nil {
			return err
		}
		p.ports[key] = told{l.socket, targets}
	}
	gone := 0
	for key := range p.ports {
		if !slices.Contains(keep.Ports, key) {
			delete(p.ports, key)
			gone++
		}
	}
	for name, ns := range p.cells {
		if slices.Contains(cells, ns) {
			keep.Cells = append(keep.Cells, name)
			continue
		}
		delete(p.cells, name)
		gone++
	}
	if gone == 0 && !fresh {
		return nil
	}
	return p.send(keep, nil)
}

// send sends one message, with a duplicate of a file.
func (p *porter) send(o order, file syscall.Conn) error {
	if err := p.conn.SetWriteDeadline(time.Now().Add(tellWithin)); err != nil {
		return err
	}
	return o.send(p.conn, file)
}

// files is the process's socket, by a key that tells which process it is of.
func (p *porter) files() map[string]*os.File {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return nil
	}
	return map[string]*os.File{portersKey + strconv.Itoa(p.process.pid): p.file}
}

// name is what tells a host port from all others.
func (l *listener) name() string {
	return strings.Join([]string{l.port.Protocol, l.port.HostIP, strconv.Itoa(int(l.port.HostPort))}, "/")
}

// lead brings the doors of all published ports to what is behind them now. A process that cannot be told ends, and is told
// everything when it is started again.
func lead(s *Sandbox) error {
	for _, l := range s.listeners {
		l.door.lead(s.inService(s.targets(l)))
	}
	if s.porter == nil {
		return nil
	}
	return s.porter.tell(s.listeners, s.cells)
}

// serve has a new port served.
func serve(s *Sandbox, l *listener) {
	if s.porter == nil {
		l.serve()
	}
}

// leadAgain is lead for a process that has just ended.
func leadAgain(s *Sandbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if err := lead(s); err != nil {
		s.config.warn("%v", err)
		time.AfterFunc(backoffLast, func() { leadAgain(s) })
	}
}
