// Package usernet is a network stack in user space: a pod's way out where the host gives it none.
//
// It is a process of its own, with the pod's tap and no privileges. What the pod sends to the world it carries on by sockets
// of the host: TCP, UDP, and ping where the host lets users ping. Nothing comes in by it. The stack itself is gvisor's; of
// gvisor-tap-vsock, which joins it to virtual machines, nothing is needed, and its start-up cost would be in every command.
package usernet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Command is the hidden command of this process: `pcompose outlet MARK GATEWAY MAC MAC`, with the tap as descriptor 3.
const Command = "outlet"

// MTU of the tap in bytes: the largest that Ethernet's header and an IPv4 packet leave. Nothing of it is on any wire.
const MTU = 65520

const (
	tapFD = 3
	nicID = 1
)

// Link is the tap's two ends.
type Link struct {
	// Gateway is the address of ours, which answers to ping.
	Gateway netip.Addr
	// Ours and Pods are the hardware addresses.
	Ours, Pods net.HardwareAddr
}

// Arguments are those of the process; the mark tells it from others.
func Arguments(mark string, l Link) []string {
	return []string{"pcompose", Command, mark, l.Gateway.String(), l.Ours.String(), l.Pods.String()}
}

// Main is the process: it runs until it is killed, or the tap is gone.
func Main(args []string) error {
	l, err := parse(args)
	if err != nil {
		return fmt.Errorf("cannot read arguments of the pod's network: %w", err)
	}
	// It rests most of its life, and what it carries is short-lived: a small heap is worth more than speed.
	debug.SetGCPercent(50)
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), 4))
	// Whoever started this process may have made it blocking, as (*os.File).Fd does.
	if err := unix.SetNonblock(tapFD, true); err != nil {
		return fmt.Errorf("cannot use the tap: %w", err)
	}
	if err := Serve(os.NewFile(tapFD, "tap"), l); err != nil {
		return fmt.Errorf("cannot carry the pod's network: %w", err)
	}
	return nil
}

func parse(args []string) (l Link, err error) {
	if len(args) != 4 {
		return l, errors.New("there are not four")
	}
	if l.Gateway, err = netip.ParseAddr(args[1]); err != nil {
		return l, err
	}
	if l.Ours, err = net.ParseMAC(args[2]); err != nil {
		return l, err
	}
	l.Pods, err = net.ParseMAC(args[3])
	return l, err
}

// Serve carries what comes by a tap until it is gone. It takes the file.
func Serve(file *os.File, l Link) error {
	defer file.Close()
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	defer s.Close()
	if err := tune(s); err != nil {
		return err
	}
	t, err := newTap(file, l)
	if err != nil {
		return err
	}
	if err := s.CreateNIC(nicID, t); err != nil {
		return problem(err)
	}
	// All addresses of the world are ours: what is for any of them is taken, and answered from there.
	if err := s.SetPromiscuousMode(nicID, true); err != nil {
		return problem(err)
	}
	if err := s.SetSpoofing(nicID, true); err != nil {
		return problem(err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nicID}, {Destination: header.IPv6EmptySubnet, NIC: nicID}})
	s.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(s, 0, maxDialing, carryTCP).HandlePacket)
	s.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(s, newFlows().carry).HandlePacket)
	return t.read()
}

// tune gives connections room for what a host's own sockets hold.
func tune(s *stack.Stack) error {
	const first, most = 1 << 20, 6 << 20
	sack, moderate := tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(true)
	// No packet of the tap is reordered; RACK would only cost timers.
	recovery := tcpip.TCPRecovery(0)
	for _, o := range []tcpip.SettableTransportProtocolOption{
		&sack, &moderate, &recovery,
		&tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: first, Max: most},
		&tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: first, Max: most},
	} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return problem(err)
		}
	}
	return nil
}

// problem is an error of the stack as one of Go.
func problem(err tcpip.Error) error { return errors.New(err.String()) }
