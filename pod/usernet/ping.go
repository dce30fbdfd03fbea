package usernet

import (
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

const (
	pingTimeout = 10 * time.Second
	maxPings    = 256
)

// pinger carries ICMP echo requests on by sockets that users may have (ping_group_range, icmp(7)); where they may not, nobody
// answers. All other ICMP is for the stack.
type pinger struct {
	link  Link
	send  func(protocol tcpip.NetworkProtocolNumber, packet ...[]byte)
	slots chan struct{}
}

// takes says whether a packet is an echo request, which it then sees to.
func (p *pinger) takes(protocol tcpip.NetworkProtocolNumber, packet []byte) bool {
	var from, to tcpip.Address
	var echo []byte
	four := protocol == ipv4.ProtocolNumber
	if four {
		ip := header.IPv4(packet)
		if !ip.IsValid(len(packet)) || ip.TransportProtocol() != header.ICMPv4ProtocolNumber || ip.More() || ip.FragmentOffset() != 0 {
			return false
		}
		if echo = ip.Payload(); len(echo) < header.ICMPv4MinimumSize || header.ICMPv4(echo).Type() != header.ICMPv4Echo {
			return false
		}
		from, to = ip.SourceAddress(), ip.DestinationAddress()
	} else {
		ip := header.IPv6(packet)
		if !ip.IsValid(len(packet)) || ip.TransportProtocol() != header.ICMPv6ProtocolNumber {
			return false
		}
		if echo = ip.Payload(); len(echo) < header.ICMPv6EchoMinimumSize || header.ICMPv6(echo).Type() != header.ICMPv6EchoRequest {
			return false
		}
		from, to = ip.SourceAddress(), ip.DestinationAddress()
	}
	far := address(to, 0).Addr()
	message := append([]byte(nil), echo...)
	select {
	case p.slots <- struct{}{}:
	default:
		return true
	}
	go func() {
		defer func() { <-p.slots }()
		if far != p.link.Gateway {
			payload, ok := exchange(far, message)
			if !ok {
				return
			}
			message = append(message[:8], payload...) // its own identifier and number
		}
		if four {
			p.answer4(from, to, message)
		} else {
			p.answer6(from, to, message)
		}
	}()
	return true
}

// exchange asks a host and gives what it sends back after the header of eight bytes.
func exchange(far netip.Addr, message []byte) (payload []byte, ok bool) {
	if !reachable(far) {
		return nil, false
	}
	family, protocol := unix.AF_INET6, unix.IPPROTO_ICMPV6
	var to unix.Sockaddr = &unix.SockaddrInet6{Addr: far.As16()}
	if far.Is4() {
		family, protocol, to = unix.AF_INET, unix.IPPROTO_ICMP, &unix.SockaddrInet4{Addr: far.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, false
	}
	socket := os.NewFile(uintptr(fd), "ping")
	defer socket.Close()
	if unix.Connect(fd, to) != nil || socket.SetDeadline(time.Now().Add(pingTimeout)) != nil {
		return nil, false
	}
	if _, err := socket.Write(message); err != nil {
		return nil, false
	}
	answer := make([]byte, len(message)+1)
	n, err := socket.Read(answer)
	if err != nil || n < 8 {
		return nil, false
	}
	return answer[8:n], true
}

func (p *pinger) answer4(pod, far tcpip.Address, message []byte) {
	icmp := header.ICMPv4(message)
	icmp.SetType(header.ICMPv4EchoReply)
	icmp.SetChecksum(0)
	icmp.SetChecksum(header.ICMPv4Checksum(icmp, 0))
	ip := header.IPv4(make([]byte, header.IPv4MinimumSize))
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip) + len(message)), TTL: 64, Protocol: uint8(header.ICMPv4ProtocolNumber), SrcAddr: far, DstAddr: pod})
	ip.SetChecksum(^ip.CalculateChecksum())
	p.send(header.IPv4ProtocolNumber, ip, message)
}

func (p *pinger) answer6(pod, far tcpip.Address, message []byte) {
	icmp := header.ICMPv6(message)
	icmp.SetType(header.ICMPv6EchoReply)
	icmp.SetChecksum(0)
	icmp.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
		Header: icmp[:header.ICMPv6EchoMinimumSize], Src: far, Dst: pod,
		PayloadCsum: checksum.Checksum(icmp[header.ICMPv6EchoMinimumSize:], 0), PayloadLen: len(icmp) - header.ICMPv6EchoMinimumSize,
	}))
	ip := header.IPv6(make([]byte, header.IPv6MinimumSize))
	ip.Encode(&header.IPv6Fields{PayloadLength: uint16(len(message)), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 64, SrcAddr: far, DstAddr: pod})
	p.send(header.IPv6ProtocolNumber, ip, message)
}
