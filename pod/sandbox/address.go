package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DefaultPools are the prefixes that pod addresses come from where the configuration names none: the second and
// third serve hosts that have a route into the first (a VPN to 10.0.0.0/8).
func DefaultPools() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("10.89.0.0/16"),
		netip.MustParsePrefix("172.29.0.0/16"),
		netip.MustParsePrefix("192.168.232.0/21"),
	}
}

// gateway6 is the host end of every pod's link.
func gateway6() netip.Addr { return netip.MustParseAddr("fe80::1") }

// linkName and tableName are what is on the host for a pod; both are functions of its id alone.
func linkName(id string) string { return "pc" + shortHash(id) }

// bridgePrefix and portPrefix begin the names of what the router has for networks and other cells' links.
const (
	bridgePrefix = "br"
	portPrefix   = "pc"
)

// bridgeName and portName are functions of the network, and of the cell on it.
func bridgeName(network string) string { return bridgePrefix + shortHash(network) }

func portName(cell, network string) string { return portPrefix + shortHash(cell+"/"+network) }

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:13]
}

func tableName(id string) string { return namePrefix + id }

const namePrefix = "pcompose-"

// hardwareAddress is locally administered and fixed: udev changes the address of links that have a random one.
func hardwareAddress(id, end string) net.HardwareAddr {
	sum := sha256.Sum256([]byte(end + "/" + id))
	mac := net.HardwareAddr(sum[:6])
	mac[0] = mac[0]&^1 | 2
	return mac
}

// address6 is the ULA (RFC 4193) whose last 32 bits are the pod's IPv4 address: unique where that is.
func address6(v4 netip.Addr) netip.Addr {
	b := [16]byte{0xfd, 'p', 'c', 'o', 'm', 'p'}
	four := v4.As4()
	copy(b[12:], four[:])
	return netip.AddrFrom16(b)
}

// pick chooses an address for a pod: where the hash of its name falls in the first pool that no used prefix
// overlaps, and the next free one from there. The pool's last address but one is the host's in every pod.
func pick(name string, pools, used []netip.Prefix) (addr, gateway netip.Addr, err error) {
	taken := map[netip.Addr]bool{}
	var wide []netip.Prefix
	for _, u := range used {
		if u.IsSingleIP() {
			taken[u.Addr()] = true
		} else if u.Bits() > 0 {
			wide = append(wide, u)
		}
	}
	free := func(a netip.Addr) bool {
		for _, w := range wide {
			if w.Contains(a) {
				return false
			}
		}
		return true
	}
	sum := sha256.Sum256([]byte(name))
	for _, pool := range pools {
		if !pool.Addr().Is4() || pool.Bits() > 29 {
			return addr, gateway, fmt.Errorf("cannot use address pool %s: it is no IPv4 prefix of /29 or wider", pool)
		}
		base, size := number(pool.Masked().Addr()), uint32(1)<<(32-pool.Bits())
		if gateway = address(base + size - 2); !free(gateway) {
			continue
		}
		hosts := size - 3 // without the network, the broadcast and the host's address
		start := binary.BigEndian.Uint32(sum[:4]) % hosts
		for i := range hosts {
			addr = address(base + 1 + (start+i)%hosts)
			if !taken[addr] && free(addr) {
				return addr, gateway, nil
			}
		}
	}
	return addr, gateway, fmt.Errorf("cannot choose an address: every pool of %v is used up or overlaps a route of the host", pools)
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func address(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

// usedPrefixes are the IPv4 prefixes the host has routes to, its own addresses among them (table local).
func usedPrefixes(h *netlink.Handle) ([]netip.Prefix, error) {
	routes, err := h.RouteListFiltered(unix.AF_INET, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("cannot list routes: %w", err)
	}
	var used []netip.Prefix
	for _, r := range routes {
		if r.Dst != nil {
			used = append(used, fromIPNet(r.Dst))
		}
	}
	return used, nil
}

func fromIPNet(n *net.IPNet) netip.Prefix {
	a, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}

// single is the prefix of one address.
func single(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}
