package sandbox

import (
	"net/netip"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// arrivesFor matches what is for a published port and can be sent on to addr; nil where nothing can.
func arrivesFor(w way, addr netip.Addr) []expr.Any {
	p := w.from
	if !addr.IsValid() || addr.Is4() && !w.v4 || addr.Is6() && !w.v6 {
		return nil
	}
	match := family(addr)
	if p.HostIP != "" {
		ip, err := netip.ParseAddr(p.HostIP)
		if err != nil || ip.Is4() != addr.Is4() || ip.IsLoopback() {
			return nil
		}
		if !ip.IsUnspecified() {
			match = to(netip.PrefixFrom(ip.WithZone(""), ip.BitLen()))
		}
	}
	return append(match, port(p.Protocol, p.HostPort)...)
}

// port matches the destination port.
func port(name string, number uint16) []expr.Any {
	proto := byte(unix.IPPROTO_TCP)
	if name == pod.UDP {
		proto = unix.IPPROTO_UDP
	}
	return append(protocol(proto),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(number)})
}

// sourcePort matches the UDP port that a datagram comes from.
func sourcePort(number uint16) []expr.Any {
	return append(protocol(unix.IPPROTO_UDP),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(number)})
}

// original matches what goes the way of the first packet of its flow.
func original() []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0}},
	}
}

// rewriteSource writes address and UDP port into the headers, and the check sums with them: that of UDP covers the
// address too (RFC 768), that of IPv6 is only there.
func rewriteSource(addr netip.Addr, port uint16) []expr.Any {
	header := &expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: expr.PayloadBaseNetworkHeader,
		Offset: 8, Len: 16, CsumFlags: unix.NFT_PAYLOAD_L4CSUM_PSEUDOHDR}
	if addr.Is4() {
		header.Offset, header.Len, header.CsumType, header.CsumOffset = 12, 4, expr.CsumTypeInet, 10
	}
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: addr.AsSlice()}, header,
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: expr.PayloadBaseTransportHeader,
			Offset: 0, Len: 2, CsumType: expr.CsumTypeInet, CsumOffset: 6},
	}
}

func protocol(number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}

// neighbourDiscovery matches the messages of RFC 4861, types 133 to 137.
func neighbourDiscovery() []expr.Any {
	return append(protocol(unix.IPPROTO_ICMPV6),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: []byte{133}},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: []byte{137}})
}

func translate(addr netip.Addr, port uint16) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: addr.AsSlice()},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(nfproto(addr)), RegAddrMin: 1, RegProtoMin: 2},
	}
}

func nfproto(a netip.Addr) byte {
	if a.Is4() {
		return unix.NFPROTO_IPV4
	}
	return unix.NFPROTO_IPV6
}

func family(a netip.Addr) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{nfproto(a)}},
	}
}

// from and to match the source and the destination address in the network header.
func from(p netip.Prefix) []expr.Any {
	if p.Addr().Is4() {
		return inHeader(p, 12)
	}
	return inHeader(p, 8)
}

func to(p netip.Prefix) []expr.Any {
	if p.Addr().Is4() {
		return inHeader(p, 16)
	}
	return inHeader(p, 24)
}

func inHeader(p netip.Prefix, offset uint32) []expr.Any {
	size := uint32(p.Addr().BitLen() / 8)
	match := append(family(p.Addr()),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size})
	if !p.IsSingleIP() {
		match = append(match, &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size,
			Mask: netmask(p), Xor: make([]byte, size)})
	}
	return append(match, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()})
}

func netmask(p netip.Prefix) []byte {
	mask := make([]byte, p.Addr().BitLen()/8)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask
}

// notFrom matches what another address of its family sends.
func notFrom(addr netip.Addr) []expr.Any {
	match := from(netip.PrefixFrom(addr, addr.BitLen()))
	last, _ := match[len(match)-1].(*expr.Cmp)
	last.Op = expr.CmpOpNeq
	return match
}

// out and in match the link that a packet leaves and comes by.
func out(link string, op expr.CmpOp) []expr.Any { return linkIs(expr.MetaKeyOIFNAME, link, op) }

func in(link string) []expr.Any { return linkIs(expr.MetaKeyIIFNAME, link, expr.CmpOpEq) }

func linkIs(key expr.MetaKey, link string, op expr.CmpOp) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, link)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: name}}
}

// ctStatusDNAT is IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h.
const ctStatusDNAT = 1 << 5

// tracked matches where conntrack has one of the bits, notTracked where it has none.
func tracked(key expr.CtKey, bits uint32) []expr.Any { return trackedIs(key, bits, expr.CmpOpNeq) }

func notTracked(key expr.CtKey, bits uint32) []expr.Any { return trackedIs(key, bits, expr.CmpOpEq) }

func trackedIs(key expr.CtKey, bits uint32, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: make([]byte, 4)},
	}
}

// toLocal matches what is for an address of this namespace, notLocalHere what is for none of the link it came by.
func toLocal() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

func notLocalHere() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, FlagIIF: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

func verdict(kind expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}
}
