package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// PortsCommand is the hidden command of the process that serves published ports: `pcompose ports MARK`, with its socket as
// descriptor 3.
const PortsCommand = "ports"

const (
	portsFD = 3
	// maxOrder bounds a message: a port of a thousand replicas, or the names of as many ports.
	maxOrder = 192 << 10
)

// order is a message to the process. It is one of: a cell, with its namespace; a port and where it leads, with its socket where
// that is new; what is kept of both, everything else being over.
type order struct {
	Cell    string       `json:",omitempty"`
	Port    string       `json:",omitempty"`
	Targets []wireTarget `json:",omitempty"`
	Keep    bool         `json:",omitempty"`
	Ports   []string     `json:",omitempty"`
	Cells   []string     `json:",omitempty"`
}

// wireTarget is a target by the name of its cell.
type wireTarget struct {
	Cell     string
	Port     uint16
	V4, V6   netip.Addr
	Internal bool `json:",omitempty"`
	Sources  bool `json:",omitempty"`
}

func wireTargets(ts []target) []wireTarget {
	var all []wireTarget
	for _, t := range ts {
		all = append(all, wireTarget{Cell: t.cell.name, Port: t.port, V4: t.v4, V6: t.v6, Internal: t.internal, Sources: t.sources})
	}
	return all
}

func (o order) send(conn *net.UnixConn, file syscall.Conn) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	var rights []byte
	if file != nil {
		copied, err := duplicate(file)
		if err != nil {
			return err
		}
		defer copied.Close()
		rights = unix.UnixRights(int(copied.Fd()))
	}
	_, _, err = conn.WriteMsgUnix(text, rights, nil)
	return err
}

func receiveOrder(conn *net.UnixConn, buf []byte) (o order, file *os.File, err error) {
	oob := make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return o, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:m])
	if err != nil {
		return o, nil, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return o, nil, err
		}
		for _, fd := range fds {
			file = os.NewFile(uintptr(fd), "port")
		}
	}
	return o, file, json.Unmarshal(buf[:n], &o)
}

// ServePorts is the process. It does what it is told as long as there is anybody to tell it, and what it was told last until it
// is killed.
func ServePorts() error {
	syscall.CloseOnExec(portsFD)
	// As the supervisor, it rests nearly all its life.
	debug.SetGCPercent(50)
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), 4))
	file := os.NewFile(portsFD, "ports")
	conn, err := net.FileConn(file)
	if err != nil {
		return fmt.Errorf("cannot serve published ports: %w", err)
	}
	file.Close()
	p := &served{cells: map[string]*namespace{}, ports: map[string]*listener{}}
	buf := make([]byte, maxOrder)
	for {
		o, file, err := receiveOrder(conn.(*net.UnixConn), buf)
		if err != nil {
			fmt.Fprintln(os.Stderr, "ports: nobody is left to say what to serve:", err)
			break
		}
		if err := p.obey(o, file); err != nil {
			return fmt.Errorf("cannot serve published ports: %w", err) // the next process is told everything
		}
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
	return nil
}

// served is what the process has.
type served struct {
	cells map[string]*namespace
	ports map[string]*listener
}

// obey does what an order says. It takes the file.
func (p *served) obey(o order, file *os.File) error {
	switch {
	case o.Keep:
		return p.keep(o)
	case o.Cell != "":
		return p.cell(o.Cell, file)
	}
	return p.port(o, file)
}

// cell takes the namespace of a cell. Connections into another that had its name end.
func (p *served) cell(name string, file *os.File) error {
	if file == nil {
		return fmt.Errorf("cell %q came without a file", name)
	}
	if was := p.cells[name]; was != nil {
		if sameFile(was.file, file) {
			return file.Close()
		}
		p.leave(was)
	}
	p.cells[name] = &namespace{name: name, file: file}
	return nil
}

func sameFile(a, b *os.File) bool {
	x, errX := a.Stat()
	y, errY := b.Stat()
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func (p *served) leave(ns *namespace) {
	for _, l := range p.ports {
		l.proxy.leave(ns)
	}
	ns.file.Close()
}

// port serves a port, by a new socket where there is one.
func (p *served) port(o order, file *os.File) error {
	l := p.ports[o.Port]
	if file != nil {
		defer file.Close()
		if l == nil || !l.isSocket(file) {
			if l != nil {
				if err := l.close(); err != nil {
					return err
				}
			}
			var err error
			if l, err = newServed(o.Port, file); err != nil {
				return err
			}
			p.ports[o.Port] = l
			defer l.serve()
		}
	}
	if l == nil {
		return fmt.Errorf("port %q came without a socket", o.Port)
	}
	var targets []target
	for _, w := range o.Targets {
		ns := p.cells[w.Cell]
		if ns == nil {
			return fmt.Errorf("there is no cell %q", w.Cell)
		}
		targets = append(targets, target{backend: backend{port: w.Port}, cell: ns, v4: w.V4, v6: w.V6, internal: w.Internal, sources: w.Sources})
	}
	l.door.lead(targets)
	return nil
}

func newServed(key string, file *os.File) (*listener, error) {
	protocol := pod.TCP
	if len(key) > 3 && key[:3] == pod.UDP {
		protocol = pod.UDP
	}
	l := &listener{port: pod.Port{Protocol: protocol}, proxy: newProxy(), door: &door{protocol: protocol}}
	return l, l.adoptSocket(file)
}

// isSocket says whether a file is the port's socket.
func (l *listener) isSocket(file *os.File) bool {
	own, err := duplicate(l.socket)
	if err != nil {
		return false
	}
	defer own.Close()
	return sameFile(own, file)
}

// keep ends all ports and cells that are not named.
func (p *served) keep(o order) error {
	var errs []error
	for key, l := range p.ports {
		if !slices.Contains(o.Ports, key) {
			errs = append(errs, l.close())
			delete(p.ports, key)
		}
	}
	for name, ns := range p.cells {
		if !slices.Contains(o.Cells, name) {
			p.leave(ns)
			delete(p.cells, name)
		}
	}
	return errors.Join(errs...)
}
