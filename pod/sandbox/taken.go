package sandbox

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// Taken are those of the ports that a socket of this host has, each once, with who has it; of a range each that is taken.
// Those of ours are left out. It binds nothing.
//
// Addresses overlap as the kernel has it: "" with everything, 0.0.0.0 with every IPv4 address, and a socket on ::
// with everything unless it is for IPv6 alone.
func Taken(ports, ours []pod.Port) ([]pod.TakenPort, error) {
	var taken []pod.TakenPort
	var proposed []pod.Port
	read := map[string][]hostListener{}
	for _, p := range ports {
		if p.HostPort == 0 {
			continue
		}
		if _, ok := read[p.Protocol]; !ok {
			ls, err := hostListeners(p.Protocol)
			if err != nil {
				return nil, fmt.Errorf("cannot list %s ports of the host: %w", p.Protocol, err)
			}
			read[p.Protocol] = ls
		}
		for _, l := range read[p.Protocol] {
			t := pod.TakenPort{HostIP: p.HostIP, HostPort: l.at.Port(), Protocol: p.Protocol}
			same := func(o pod.TakenPort) bool {
				return o.HostIP == t.HostIP && o.HostPort == t.HostPort && o.Protocol == t.Protocol
			}
			is := func(o pod.Port) bool { return o.HostPort == t.HostPort && o.Protocol == t.Protocol }
			if !l.overlaps(p) || slices.ContainsFunc(taken, same) || slices.ContainsFunc(ours, is) {
				continue
			}
			holder(l.inode).tell(&t)
			t.Mine = l.uid == os.Geteuid()
			if p.Last == 0 {
				t.Free = freeNear(p, slices.Concat(ports, proposed), read[p.Protocol])
				proposed = append(proposed, pod.Port{HostPort: t.Free, Protocol: p.Protocol})
			}
			taken = append(taken, t)
		}
	}
	return taken, nil
}

// freeNear is the next host port that a port could be published on, and that is none of those to avoid; 0 for none. For
// one of the ports below 1024 it is among those that are customary in their place: 8080 for 80, 8443 for 443.
func freeNear(p pod.Port, avoid []pod.Port, listeners []hostListener) uint16 {
	const privileged, customary = 1024, 8000
	from := int(p.HostPort) + 1
	if from <= privileged {
		from += customary - 1
	}
	for n := from; n <= math.MaxUint16; n++ {
		p.HostPort = uint16(n)
		if !slices.ContainsFunc(avoid, p.Collides) && !slices.ContainsFunc(listeners, func(l hostListener) bool { return l.overlaps(p) }) {
			return p.HostPort
		}
	}
	return 0
}

// ownerOf says who has a port that could not be bound; "" where that cannot be read.
func ownerOf(p pod.Port) string {
	taken, err := Taken([]pod.Port{p}, nil)
	if err != nil || len(taken) == 0 {
		return ""
	}
	return taken[0].Owner
}

// hostListener is a socket that holds a port of the host.
type hostListener struct {
	at    netip.AddrPort
	inode string
	// uid is the user's who made it, as this user namespace has it.
	uid int
	// v6Only says that a socket on :: leaves IPv4 to others; false where that is not known.
	v6Only bool
	// connected UDP sockets hold a port and hear one peer only.
	connected bool
}

func (l hostListener) overlaps(p pod.Port) bool {
	if !p.Allows(l.at.Port()) {
		return false
	}
	ip, err := netip.ParseAddr(p.HostIP)
	if err != nil { // ""
		return true
	}
	have := l.at.Addr()
	switch {
	case have.Is6() && have.IsUnspecified() && !l.v6Only:
		return true
	case have.Is4() != ip.Is4():
		return false
	}
	return have == ip || have.IsUnspecified() || ip.IsUnspecified()
}

// hostListeners are the sockets of one protocol, IPv4 and IPv6.
func hostListeners(protocol string) ([]hostListener, error) {
	if ls, err := diagListeners(protocol); err == nil {
		return ls, nil
	}
	return procListeners(protocol)
}

// procListeners reads them from /proc/net, for kernels without inet_diag.
func procListeners(protocol string) ([]hostListener, error) {
	var ls []hostListener
	for _, table := range []string{protocol, protocol + "6"} {
		// thread-self: a thread of ours may be in a pod's namespace, and it is not the one that opens this.
		f, err := os.Open("/proc/thread-self/net/" + table)
		if os.IsNotExist(err) && table != protocol {
			continue // no IPv6
		}
		if err != nil {
			return nil, err
		}
		ls, err = parseSockets(f, protocol == pod.TCP, ls)
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return ls, nil
}

// parseSockets appends the sockets of a table like /proc/net/tcp (proc_pid_net(5)). For TCP these are the listening
// ones, which the kernel lists first: the rest, long on a busy host, is not read. A UDP port is held by any socket.
func parseSockets(r io.Reader, listening bool, ls []hostListener) ([]hostListener, error) {
	const tcpEstablished, tcpListen = "01", "0A"
	lines := bufio.NewScanner(r)
	for first := true; lines.Scan(); first = false {
		fields := strings.Fields(lines.Text())
		if first || len(fields) < 10 {
			continue
		}
		if listening && fields[3] != tcpListen {
			break
		}
		at, err := parseHex(fields[1])
		if err != nil {
			return nil, err
		}
		uid, err := strconv.Atoi(fields[7])
		if err != nil {
			return nil, err
		}
		ls = append(ls, hostListener{at: at, uid: uid, inode: fields[9], connected: fields[3] == tcpEstablished})
	}
	return ls, lines.Err()
}

// parseHex reads "0100007F:1F90": words of four bytes in the machine's order, then the port.
func parseHex(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	words, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for i := 0; i+4 <= len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	addr, ok := netip.AddrFromSlice(words)
	n, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of a socket", s)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}
