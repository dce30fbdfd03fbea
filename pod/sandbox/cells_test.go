package sandbox

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// plan is a pod of two networks that the first cell is on (front) and not on (back), and an internal one:
//
//	front: default 10.210.1.2, api .3, web-2 .4    back: api 10.210.0.2, db .3    vault (internal): db 10.210.2.2, keys .3
func plan() (cells []pod.Cell, networks []pod.Network, members []pod.Member) {
	link := func(network, name, v4 string) pod.Link {
		return pod.Link{Network: network, Interface: name, IPv4: v4 + "/24"}
	}
	by := func(l pod.Link) pod.Link { l.Default, l.Default6 = true, l.IPv6 != ""; return l }
	six := func(l pod.Link, v6 string) pod.Link { l.IPv6 = v6 + "/64"; return l }
	cells = []pod.Cell{
		{Name: pod.DefaultCell, Links: []pod.Link{six(link("front", "", "10.210.1.2"), "fd00:1::2")}},
		{Name: "api", Links: []pod.Link{link("back", "eth0", "10.210.0.2"), by(six(link("front", "eth1", "10.210.1.3"), "fd00:1::3"))}},
		{Name: "db", Links: []pod.Link{by(link("back", "eth0", "10.210.0.3")), link("vault", "eth1", "10.210.2.2")}},
		{Name: "keys", Links: []pod.Link{link("vault", "eth0", "10.210.2.3")}},
		{Name: "web-2", Links: []pod.Link{by(six(link("front", "eth0", "10.210.1.4"), "fd00:1::4"))}},
		{Name: "alone", Mode: pod.NetworkNone},
	}
	networks = []pod.Network{
		{Key: "back", Pools: []pod.Pool{{Subnet: "10.210.0.0/24", Gateway: "10.210.0.1"}}},
		{Key: "front", MTU: 1400, IPv6: true, Pools: []pod.Pool{{Subnet: "10.210.1.0/24", Gateway: "10.210.1.1"}, {Subnet: "fd00:1::/64", Gateway: "fd00:1::1"}}},
		{Key: "vault", Internal: true, Pools: []pod.Pool{{Subnet: "10.210.2.0/24", Gateway: "10.210.2.1"}}},
	}
	members = []pod.Member{{Container: "web-1", Service: "web"}, {Container: "web-2", Service: "web", Cell: "web-2"},
		{Container: "api", Service: "api", Cell: "api"}, {Container: "db", Service: "db", Cell: "db"},
		{Container: "keys", Service: "keys", Cell: "keys"}, {Container: "alone", Service: "alone", Cell: "alone"}}
	return cells, networks, members
}

func planned(t testing.TB, id string) Config {
	c := config(t, id)
	c.Cells, c.Networks, c.Members = plan()
	return c
}

func startPlanned(t testing.TB, id string) *Sandbox {
	t.Helper()
	s, err := Create(context.Background(), planned(t, id))
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func TestNetworksAreWhoReachesWhom(t *testing.T) {
	host(t)
	machine, host4, _, its4 := outside(t)
	s := startPlanned(t, "nets")
	echoTCP(t, only(machine), 7000)
	for _, cell := range []string{"", "api", "db", "keys", "web-2"} {
		echoTCP(t, only(s.cell(cell)), 80)
		echoUDP(t, only(s.cell(cell)), 53)
	}
	at := map[string][]string{"": {"10.210.1.2", "fd00:1::2"}, "api": {"10.210.0.2", "10.210.1.3", "fd00:1::3"}, "db": {"10.210.0.3", "10.210.2.2"},
		"keys": {"10.210.2.3"}, "web-2": {"10.210.1.4", "fd00:1::4"}}
	seen := map[[2]string]string{
		{"", "10.210.1.3"}: "10.210.1.2", {"", "10.210.1.4"}: "10.210.1.2", {"", "fd00:1::3"}: "fd00:1::2", {"", "fd00:1::4"}: "fd00:1::2",
		{"api", "10.210.1.2"}: "10.210.1.3", {"api", "10.210.1.4"}: "10.210.1.3", {"api", "10.210.0.3"}: "10.210.0.2",
		{"api", "fd00:1::2"}: "fd00:1::3", {"api", "fd00:1::4"}: "fd00:1::3",
		{"db", "10.210.0.2"}: "10.210.0.3", {"db", "10.210.2.3"}: "10.210.2.2", {"keys", "10.210.2.2"}: "10.210.2.3",
		{"web-2", "10.210.1.2"}: "10.210.1.4", {"web-2", "10.210.1.3"}: "10.210.1.4", {"web-2", "fd00:1::2"}: "fd00:1::4", {"web-2", "fd00:1::3"}: "fd00:1::4",
	}
	for from := range at {
		for to, addrs := range at {
			if from == to {
				continue
			}
			for _, addr := range addrs {
				if src := seen[[2]string{from, addr}]; src != "" {
					wantAnswer(t, s.cell(from), addr, 80, fmt.Sprintf("80 saw %s\nhello", src))
				} else {
					wantNothing(t, s.cell(from), addr, 80)
				}
			}
		}
	}
	// The way out: as the pod, but for who is only on an internal network.
	for _, from := range []string{"", "api", "db", "web-2"} {
		wantAnswer(t, s.cell(from), its4.String(), 7000, fmt.Sprintf("7000 saw %s\nhello", host4))
	}
	for _, from := range []string{"keys", "alone"} {
		wantNothing(t, s.cell(from), its4.String(), 7000)
		wantNothing(t, s.cell(from), host4.String(), 7000)
		wantNothing(t, s.cell(from), s.Gateway().String(), 7000)
	}
	// Other addresses of the router, of gateways and of the pod, are nobody's way to its containers.
	v4, _ := s.Address()
	for _, addr := range []string{"10.210.0.1", "10.210.1.2", "10.210.2.1", v4.String()} {
		wantNothing(t, s.cell("db"), addr, 80)
	}
	wantNothing(t, s.cell("api"), v4.String(), 80)
}

func wantNothing(t *testing.T, from *namespace, to string, port uint16) {
	t.Helper()
	c, err := from.connectIn(pod.TCP, netip.AddrPortFrom(netip.MustParseAddr(to), port), netip.AddrPort{}, 150*time.Millisecond)
	if err == nil {
		t.Errorf("%s reaches %s port %d as %s", from.name, to, port, c.LocalAddr())
		c.Close()
	}
}
