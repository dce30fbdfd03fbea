package sandbox

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

// sharing is a pod on the network "shared", whose first cell has the address v4 of it, or none, and a cell "x" the address x.
func sharing(t testing.TB, id string, hub *os.File, v4, x string) Config {
	c := config(t, id)
	link := func(address string) []pod.Link {
		if address == "" {
			return nil
		}
		return []pod.Link{{Network: "net", Interface: "eth0", IPv4: address + "/24", Default: true}}
	}
	c.Cells = []pod.Cell{{Name: pod.DefaultCell, Links: link(v4)}, {Name: "x", Links: link(x)}}
	c.Networks = []pod.Network{{Key: "net", Name: "shared", Shared: true, Pools: []pod.Pool{{Subnet: "10.211.0.0/24", Gateway: "10.211.0.1"}}}}
	c.Members = []pod.Member{{Container: "one"}, {Container: "x", Cell: "x"}}
	c.Hubs = map[string]*os.File{"shared": hub}
	c.LockFile = "/dev/null"
	return c
}

// TestPodsMeetOnAHub: cells of two pods reach each other on a shared network, each leaves by its own pod, and neither gets
// what is not on the network. A hub or a router that died is joined again, and an address may pass from pod to pod.
func TestPodsMeetOnAHub(t *testing.T) {
	host(t)
	machine, host4, _, its4 := outside(t)
	echoTCP(t, only(machine), 7000)
	hub, err := NewHub()
	must(t, err)
	t.Cleanup(func() { hub.Close() })
	ca, cb := sharing(t, "huba", hub, "10.211.0.2", "10.211.0.3"), sharing(t, "hubb", hub, "", "10.211.0.4")
	cb.Cells = append(cb.Cells, pod.Cell{Name: "apart", Links: []pod.Link{{Network: "own", Interface: "eth0", IPv4: "10.210.5.2/24", Default: true}}})
	cb.Networks = append(cb.Networks, pod.Network{Key: "own", Pools: []pod.Pool{{Subnet: "10.210.5.0/24", Gateway: "10.210.5.1"}}})
	a, err := Create(t.Context(), ca)
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	b, err := Create(t.Context(), cb)
	must(t, err)
	echoTCP(t, only(a.cells[0]), 80)
	echoTCP(t, only(a.cell("x")), 80)
	echoTCP(t, only(b.cell("x")), 80)
	echoTCP(t, only(b.cell("apart")), 80)
	meet := func() {
		t.Helper()
		wantAnswer(t, a.cells[0], "10.211.0.4", 80, "80 saw 10.211.0.2\nhello")
		wantAnswer(t, a.cell("x"), "10.211.0.4", 80, "80 saw 10.211.0.3\nhello")
		wantAnswer(t, b.cell("x"), "10.211.0.2", 80, "80 saw 10.211.0.4\nhello")
		wantAnswer(t, b.cell("x"), "10.211.0.3", 80, "80 saw 10.211.0.4\nhello")
		for _, from := range []*namespace{a.cells[0], a.cell("x"), b.cell("x")} {
			wantAnswer(t, from, its4.String(), 7000, fmt.Sprintf("7000 saw %s\nhello", host4))
		}
	}
	meet()
	// Who is not on it gets nowhere near, and nobody from it.
	wantNothing(t, b.cell("apart"), "10.211.0.3", 80)
	wantNothing(t, b.cell("apart"), "10.211.0.2", 80)
	wantNothing(t, a.cell("x"), "10.210.5.2", 80)
	for _, p := range []netip.Addr{a.address(t), b.address(t)} {
		wantNothing(t, a.cell("x"), p.String(), 80)
	}
	// Done again, nothing changes.
	must(t, a.Arrange(t.Context(), ca.Cells, ca.Networks, ca.Members))
	must(t, b.Arrange(t.Context(), cb.Cells, cb.Networks, cb.Members))
	meet()

	// The hub dies with all who held it, and the pods meet on another.
	must(t, hub.Close())
	hub, err = NewHub()
	must(t, err)
	for _, p := range []struct {
		s *Sandbox
		c Config
	}{{a, ca}, {b, cb}} {
		Meet(p.s, map[string]*os.File{"shared": hub})
		must(t, p.s.Arrange(t.Context(), p.c.Cells, p.c.Networks, p.c.Members))
	}
	meet()

	// One leaves; its address is another's at once.
	must(t, b.Close())
	wantNothing(t, a.cell("x"), "10.211.0.4", 80)
	c, err := Create(context.Background(), sharing(t, "hubc", hub, "10.211.0.4", "10.211.0.5"))
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	echoTCP(t, only(c.cells[0]), 80)
	wantAnswer(t, a.cell("x"), "10.211.0.4", 80, "80 saw 10.211.0.3\nhello")
	// And a network is no longer shared.
	alone := ca.Networks[0]
	alone.Shared = false
	must(t, a.Arrange(t.Context(), ca.Cells, []pod.Network{alone}, ca.Members))
	wantAnswer(t, a.cell("x"), "10.211.0.2", 80, "80 saw 10.211.0.3\nhello")
	wantNothing(t, a.cell("x"), "10.211.0.4", 80)
}

func (s *Sandbox) address(t *testing.T) netip.Addr {
	t.Helper()
	v4, _ := s.Address()
	return v4
}
