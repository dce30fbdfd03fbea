package sandbox

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/pcompose/pcompose/pod"
)

func TestScaleLive(t *testing.T) {
	host(t)
	machine, host4, _, _ := outside(t)
	s := start(t, "scale")
	named(t, s.cells[0], "one", 80)
	_, err := s.Publish([]pod.Port{tcp("web-1", 18220, 80)})
	must(t, err)
	held, err := machine.connect(pod.TCP, netip.AddrPortFrom(host4, 18220), netip.AddrPort{})
	must(t, err)
	defer held.Close()

	ctx, end := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var done atomic.Int64
	for _, from := range []*namespace{machine, nil} {
		load.Add(1)
		go func() {
			defer load.Done()
			for ctx.Err() == nil {
				to := host4
				if from == nil {
					to = netip.MustParseAddr("127.0.0.1")
				}
				if got, err := ask(from, to, 18220); err != nil || len(got) != 3 {
					t.Errorf("%q, %v", got, err)
				}
				done.Add(1)
			}
		}()
	}
	// From one cell to many, and back, twice.
	cells, networks, members := plan()
	two := []pod.Port{tcp("web-1", 18220, 80), tcp("web-2", 18220, 80)}
	for range 2 {
		must(t, s.Arrange(t.Context(), cells, networks, members))
		must(t, s.Arrange(t.Context(), cells, networks, members))
		stop := named(t, s.cell("web-2"), "two", 80)
		_, err = s.Publish(two)
		must(t, err)
		got := map[string]bool{}
		for i := 0; i < 100 && len(got) < 2; i++ {
			answer, err := ask(machine, host4, 18220)
			must(t, err)
			got[answer] = true
		}
		if !got["one"] || !got["two"] {
			t.Errorf("answers are %v", got)
		}
		// While the others are not touched, one network goes, and one cell.
		must(t, s.Ready("web-2", false))
		for from := done.Load(); done.Load() < from+20 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		stop()
		_, err = s.Publish(two[:1])
		must(t, err)
		few := slices.DeleteFunc(slices.Clone(cells), func(c pod.Cell) bool { return c.Name != pod.DefaultCell && c.Name != "api" })
		must(t, s.Arrange(t.Context(), few, networks[:2], members))
		wantNothing(t, s.cell("api"), "10.210.1.4", 80)
		one := []pod.Cell{{Name: pod.DefaultCell}}
		must(t, s.Arrange(t.Context(), one, networks, members[:1]))
	}
	end()
	load.Wait()
	t.Logf("%d requests", done.Load())
	held.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(held); err != nil || string(got) != "one" {
		t.Errorf("a connection from before gets %q, %v", got, err)
	}
	if state := routerState(t, s); strings.Contains(state, "bridge") || strings.Contains(state, "table inet") {
		t.Errorf("left in the first cell:\n%s", state)
	}
}

// routerState is what is in the first cell.
func routerState(t *testing.T, s *Sandbox) (state string) {
	t.Helper()
	must(t, s.cells[0].do(func() error {
		for _, args := range [][]string{{"ip", "-d", "link"}, {"ip", "-o", "addr"}, {"ip", "route", "show", "table", "all"}, {"nft", "list", "ruleset"}} {
			state += run(t, args[0], args[1:]...)
		}
		return nil
	}))
	return state
}

func TestRemovedCellIsGone(t *testing.T) {
	host(t)
	s := startPlanned(t, "gone")
	echoTCP(t, only(s.cell("api")), 81)
	_, err := s.Publish([]pod.Port{tcp("api", 18230, 81)})
	must(t, err)
	through, err := net.Dial("tcp", "127.0.0.1:18230")
	must(t, err)
	defer through.Close()
	io.ReadFull(through, make([]byte, 3))
	// A link goes with its namespace.
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "pctwitness"
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "witness", PeerNamespace: netlink.NsFd(s.cell("web-2").fd())}))
	_, err = s.Publish(nil)
	must(t, err)
	cells, networks, members := plan()
	cells = slices.DeleteFunc(cells, func(c pod.Cell) bool { return c.Name == "web-2" })
	must(t, s.Arrange(t.Context(), cells, networks, members))
	if s.NamespacePath("web-2") != "" || s.NamespacePath("api") == "" {
		t.Error("NamespacePath does not follow")
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := netlink.LinkByName("pctwitness"); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the namespace of a removed cell is still there")
		}
	}
}

func TestAdoptCells(t *testing.T) {
	host(t)
	machine, host4, _, _ := outside(t)
	c := planned(t, "adoptcells")
	first, err := Create(t.Context(), c)
	must(t, err)
	named(t, first.cells[0], "one", 80)
	named(t, first.cell("web-2"), "two", 80)
	ports := []pod.Port{tcp("web-1", 18240, 80), tcp("web-2", 18240, 80), tcp("api", 18241, 80)}
	_, err = first.Publish(ports)
	must(t, err)
	must(t, first.Ready("web-1", false))
	files, err := first.Files()
	must(t, err)
	state, hostRules := routerState(t, first), run(t, "nft", "list", "ruleset")
	must(t, first.Release())
	for range 4 {
		if got, err := ask(machine, host4, 18240); err != nil || got != "two" {
			t.Errorf("without a supervisor: %q, %v", got, err)
		}
	}
	// The next one is told of a cell that was to be made, and of one that was to go.
	more := c
	more.Out = []string{"web-1"}
	more.Cells = slices.DeleteFunc(slices.Clone(c.Cells), func(c pod.Cell) bool { return c.Name == "keys" })
	fresh := c.Cells[4]
	fresh.Name, fresh.Links = "web-3", []pod.Link{{Network: "front", Interface: "eth0", IPv4: "10.210.1.5/24", Default: true}}
	more.Cells = append(more.Cells, fresh)
	s, err := Adopt(t.Context(), more, files)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	for _, client := range []func() (string, error){
		func() (string, error) { return ask(machine, host4, 18240) },
		func() (string, error) { return ask(nil, netip.MustParseAddr("127.0.0.1"), 18240) },
	} {
		if got, err := client(); err != nil || got != "two" {
			t.Errorf("adopted: %q, %v", got, err)
		}
	}
	named(t, s.cell("web-3"), "three", 81)
	if got, err := ask(s.cell("web-2"), netip.MustParseAddr("10.210.1.5"), 81); err != nil || got != "three" {
		t.Errorf("a cell made in Adopt: %q, %v", got, err)
	}
	for _, f := range files {
		f.Close()
	}
	// Back to what was: the rules are the same, and nothing but the new links' numbers differs.
	must(t, s.Arrange(t.Context(), c.Cells, c.Networks, c.Members))
	again := routerState(t, s)
	if rules(again) != rules(state) {
		t.Errorf("rules of the first cell are\n%s\nwere\n%s", rules(again), rules(state))
	}
	if now := run(t, "nft", "list", "ruleset"); now != hostRules {
		t.Errorf("rules are\n%s\nwere\n%s", now, hostRules)
	}
}

// TestRouterIsMadeAnew: where keeper and supervisor died, and no container lived in the router, the next sandbox wires the
// cells that live to a new one.
func TestRouterIsMadeAnew(t *testing.T) {
	host(t)
	first, err := Create(t.Context(), planned(t, "anew"))
	must(t, err)
	files, err := first.Files()
	must(t, err)
	router := netnsKey(pod.DefaultCell)
	must(t, files[router].Close())
	delete(files, router)
	must(t, first.Release())
	s, err := Adopt(t.Context(), planned(t, "anew"), files)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	echoTCP(t, only(s.cell("db")), 80)
	echoTCP(t, only(s.cell("")), 80)
	wantAnswer(t, s.cell("api"), "10.210.0.3", 80, "80 saw 10.210.0.2\nhello")
	wantAnswer(t, s.cell("web-2"), "10.210.1.2", 80, "80 saw 10.210.1.4\nhello")
	wantNothing(t, s.cell("web-2"), "10.210.0.3", 80)
	machine, _, _, its4 := outside(t)
	echoTCP(t, only(machine), 7000)
	if got, err := ask(s.cell("api"), its4, 7000); err != nil {
		t.Errorf("the world outside says %q, %v", got, err)
	}
}

func rules(state string) string { return state[strings.Index(state, "table inet"):] }

// TestArrangeCutOff cuts an Arrange off after each link it makes, and asks for the same again, of another sandbox.
func TestArrangeCutOff(t *testing.T) {
	host(t)
	whole := startPlanned(t, "whole")
	_, want, _ := strings.Cut(normal(t, whole), "\n")
	for _, lost := range []string{"api", "db", "keys", "web-2"} {
		t.Run(lost, func(t *testing.T) {
			c := planned(t, "cut"+lost)
			first, err := Create(t.Context(), c)
			must(t, err)
			// What a kill leaves: a cell whose file nobody held yet, links without addresses, an address of before.
			h, err := first.cell(lost).route()
			must(t, err)
			link, err := h.LinkByName("eth0")
			must(t, err)
			must(t, settleAddresses(h, link, []netip.Prefix{netip.MustParsePrefix("10.210.9.9/24")}, 0))
			h.Close()
			files, err := first.Files()
			must(t, err)
			if lost != "db" {
				files["netns/"+lost].Close()
				delete(files, "netns/"+lost)
			}
			must(t, first.Release())
			s, err := Adopt(t.Context(), c, files)
			must(t, err)
			for _, f := range files {
				f.Close()
			}
			if _, got, _ := strings.Cut(normal(t, s), "\n"); got != want {
				t.Errorf("the pod is\n%s\nwant\n%s", got, want)
			}
			must(t, s.Release())
			must(t, Remove(c.ID))
			if _, err := netlink.LinkByName(linkName(c.ID)); err == nil || strings.Contains(run(t, "nft", "list", "ruleset"), tableName(c.ID)) {
				t.Error("Remove leaves the pod's link or table")
			}
		})
	}
}

// normal is what is in all cells, without what differs from pod to pod.
func normal(t *testing.T, s *Sandbox) string {
	t.Helper()
	v4, v6 := s.Address()
	var b strings.Builder
	for _, ns := range s.cells {
		fmt.Fprintf(&b, "cell %s\n", ns.name)
		must(t, ns.do(func() error {
			addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
			if err != nil {
				return err
			}
			var lines []string
			for _, a := range addrs {
				link, err := netlink.LinkByIndex(a.LinkIndex)
				if err != nil {
					return err
				}
				if a.IP.IsLinkLocalUnicast() || a.IP.Equal(v4.AsSlice()) || a.IP.Equal(v6.AsSlice()) {
					continue
				}
				lines = append(lines, fmt.Sprintln(link.Attrs().Name, link.Attrs().MTU, link.Attrs().HardwareAddr, a.IPNet))
			}
			slices.Sort(lines)
			b.WriteString(strings.Join(lines, ""))
			// A bridge learns a moment later that its ports are up.
			b.WriteString(strings.ReplaceAll(run(t, "ip", "route"), " linkdown", ""))
			return nil
		}))
	}
	return b.String()
}

func TestLinkAsPlanned(t *testing.T) {
	host(t)
	c := planned(t, "linkplan")
	c.Cells[1].Links[0].MAC = "02:00:00:00:00:07"
	c.Cells[1].Links[0].LinkLocal = []string{"169.254.7.7"}
	s, err := Create(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	check := func(link string, mtu int, mac string, addrs ...string) {
		t.Helper()
		must(t, s.cell("api").do(func() error {
			l, err := netlink.LinkByName(link)
			if err != nil {
				return err
			}
			if a := l.Attrs(); a.MTU != mtu || mac != "" && a.HardwareAddr.String() != mac {
				t.Errorf("%s has mtu %d and address %s", link, a.MTU, a.HardwareAddr)
			}
			for _, addr := range addrs {
				if out := run(t, "ip", "-o", "addr", "show", "dev", link); !strings.Contains(out, " "+addr+" ") || strings.Contains(out, "tentative noprefixroute") {
					t.Errorf("%s has\n%s\nnot %s", link, out, addr)
				}
			}
			return nil
		}))
	}
	check("eth0", 1500, "02:00:00:00:00:07", "10.210.0.2/24", "169.254.7.7/16")
	check("eth1", 1400, "", "10.210.1.3/24", "fd00:1::3/64")
	// Live: another mtu, address, name and way out.
	c.Networks[1].MTU = 1300
	c.Cells[1].Links[0] = pod.Link{Network: "back", Interface: "lan", IPv4: "10.210.0.9/24", Default: true}
	c.Cells[1].Links[1].Default, c.Cells[1].Links[1].IPv4 = false, "10.210.1.9/24"
	for range 2 {
		must(t, s.Arrange(t.Context(), c.Cells, c.Networks, c.Members))
		check("lan", 1500, "", "10.210.0.9/24")
		check("eth1", 1300, "", "10.210.1.9/24")
	}
	must(t, s.cell("api").do(func() error {
		if out := run(t, "ip", "route", "show", "default"); strings.TrimSpace(out) != "default via 10.210.0.1 dev lan onlink" {
			t.Errorf("default route is %q", out)
		}
		return nil
	}))
	for _, bad := range []struct {
		cells []pod.Cell
		want  string
	}{
		{[]pod.Cell{{Name: "other"}}, `the first cell is "default"`},
		{[]pod.Cell{{Name: "default"}, {Name: "x", Mode: "container:y"}}, `cannot make cell "x": network mode "container:y"`},
		{[]pod.Cell{{Name: "default"}, {Name: "x", Links: []pod.Link{{Network: "moon"}}}}, `cannot link cell "x": there is no network "moon"`},
	} {
		if err := s.Arrange(t.Context(), bad.cells, c.Networks, nil); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("error is %v, want %s", err, bad.want)
		}
	}
}

func TestHostModeIsTheHost(t *testing.T) {
	host(t)
	c := config(t, "hostmode")
	c.Cells = []pod.Cell{{Name: pod.DefaultCell}, {Name: "h", Mode: pod.NetworkHost}}
	s, err := Create(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	a, err := os.Stat(s.NamespacePath("h"))
	must(t, err)
	b, err := os.Stat("/proc/self/ns/net")
	must(t, err)
	if !os.SameFile(a, b) {
		t.Error("the cell is not the host")
	}
}

func TestInternalPodIsShut(t *testing.T) {
	host(t)
	machine, host4, _, its4 := outside(t)
	c := config(t, "shut")
	c.Networks = []pod.Network{{Key: "default", Internal: true}}
	s, err := Create(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	echoTCP(t, s, 80)
	echoTCP(t, only(machine), 7000)
	_, err = s.Publish([]pod.Port{tcp("web", 18250, 80)})
	must(t, err)
	v4, _ := s.Address()
	wantNothing(t, s.cells[0], its4.String(), 7000)
	wantRefused(t, machine, host4.String(), 18250)
	wantRefused(t, nil, "127.0.0.1", 18250)
	if _, err := ask(nil, v4, 80); err == nil {
		t.Error("the host gets in")
	}
	// The network opens, and shuts again.
	must(t, s.Arrange(t.Context(), nil, []pod.Network{{Key: "default"}}, nil))
	wantAnswer(t, nil, "127.0.0.1", 18250, fmt.Sprintf("80 saw %s\nhello", v4))
	wantAnswer(t, s.cells[0], its4.String(), 7000, fmt.Sprintf("7000 saw %s\nhello", host4))
	wantAnswer(t, machine, host4.String(), 18250, fmt.Sprintf("80 saw %s\nhello", its4))
	must(t, s.Arrange(t.Context(), nil, c.Networks, nil))
	wantNothing(t, s.cells[0], its4.String(), 7000)
	wantRefused(t, machine, host4.String(), 18250)
}
