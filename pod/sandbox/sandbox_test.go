package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/pcompose/pcompose/pod"
)

func TestPublishedPortIsReachedFromEverywhere(t *testing.T) {
	host(t)
	machine, host4, host6, its4 := outside(t)
	s := start(t, "reach")
	echoTCP(t, s, 80)
	bound, err := s.Publish([]pod.Port{tcp("web", 18080, 80)})
	must(t, err)
	if want := []pod.Port{tcp("web", 18080, 80)}; !slices.Equal(bound, want) {
		t.Errorf("bound %v, want %v", bound, want)
	}
	v4, v6 := s.Address()
	wantAnswer(t, nil, "127.0.0.1", 18080, fmt.Sprintf("80 saw %s\nhello", v4))
	wantAnswer(t, nil, "127.0.0.2", 18080, fmt.Sprintf("80 saw %s\nhello", v4))
	wantAnswer(t, nil, "::1", 18080, fmt.Sprintf("80 saw %s\nhello", v4))
	wantAnswer(t, machine, host4.String(), 18080, fmt.Sprintf("80 saw %s\nhello", its4))
	wantAnswer(t, machine, host6.String(), 18080, "80 saw 2001:db8::2\nhello")
	// The host by its own address, and the pod itself by the host's.
	wantAnswer(t, nil, host4.String(), 18080, fmt.Sprintf("80 saw %s\nhello", host4))
	wantAnswer(t, s.cells[0], host4.String(), 18080, fmt.Sprintf("80 saw %s\nhello", s.Gateway()))
	wantAnswer(t, s.cells[0], s.Gateway().String(), 18080, fmt.Sprintf("80 saw %s\nhello", s.Gateway()))
	if got, err := ask(s.cells[0], host6, 18080); err != nil || !strings.HasSuffix(got, "hello") {
		t.Errorf("the pod reaches itself by IPv6: %q, %v", got, err)
	}
	// Not published: the pod's address from another machine, by a route through the host.
	h, err := machine.route()
	must(t, err)
	defer h.Close()
	wire, err := h.LinkByName("wire0")
	must(t, err)
	must(t, h.RouteAdd(&netlink.Route{LinkIndex: wire.Attrs().Index, Dst: single(v4), Gw: host4.AsSlice()}))
	wantRefused(t, machine, v4.String(), 80)
	wantAnswer(t, nil, v4.String(), 80, fmt.Sprintf("80 saw %s\nhello", s.Gateway()))
	wantAnswer(t, nil, v6.String(), 80, "80 saw 2001:db8::1\nhello")
}

func TestPodReachesOutMasqueraded(t *testing.T) {
	host(t)
	machine, host4, _, its4 := outside(t)
	s := start(t, "out")
	other := only(machine)
	echoTCP(t, other, 7000)
	wantAnswer(t, s.cells[0], its4.String(), 7000, fmt.Sprintf("7000 saw %s\nhello", host4))
	wantAnswer(t, s.cells[0], "2001:db8::2", 7000, "7000 saw 2001:db8::1\nhello")
}

func TestUDP(t *testing.T) {
	host(t)
	machine, host4, _, its4 := outside(t)
	s := start(t, "udp")
	v4, _ := s.Address()
	_, err := s.Publish([]pod.Port{{Container: "dns", HostPort: 15353, ContainerPort: 53, Protocol: pod.UDP}})
	must(t, err)
	exchange := func(c net.Conn, word string) string {
		c.SetDeadline(time.Now().Add(2 * time.Second))
		c.Write([]byte(word))
		buf := make([]byte, 1<<16)
		n, err := c.Read(buf)
		if err != nil {
			return err.Error()
		}
		return string(buf[:n])
	}
	early, err := net.Dial("udp", "127.0.0.1:15353")
	must(t, err)
	defer early.Close()
	early.Write([]byte("nobody listens yet"))
	echoUDP(t, s, 53)
	// The first datagram is lost, or comes just in time: the proxy has its own pace.
	got, want := exchange(early, "a"), fmt.Sprintf("saw %s: a", v4)
	if strings.HasSuffix(got, "nobody listens yet") {
		got = exchange(early, "a")
	}
	if got != want {
		t.Errorf("a client from before the service gets %q, want %q", got, want)
	}
	for _, at := range []string{"127.0.0.1", "127.0.0.7", "::1"} {
		c, err := net.Dial("udp", net.JoinHostPort(at, "15353"))
		must(t, err)
		defer c.Close()
		for _, word := range []string{"b", strings.Repeat("c", 30000)} {
			if got, want := exchange(c, word), fmt.Sprintf("saw %s: %s", v4, word); got != want {
				t.Errorf("%s answers %.40q, want %.40q", at, got, want)
			}
		}
	}
	c, err := machine.connect(pod.UDP, netip.AddrPortFrom(host4, 15353), netip.AddrPort{})
	must(t, err)
	defer c.Close()
	if got, want := exchange(c, "d"), fmt.Sprintf("saw %s: d", its4); got != want {
		t.Errorf("another machine gets %q, want %q", got, want)
	}
	// Its flow ends with the port, though it goes on sending.
	_, err = s.Publish(nil)
	must(t, err)
	if got := exchange(c, "e"); strings.HasPrefix(got, "saw") {
		t.Errorf("a port that is no more answers %q", got)
	}
}

func TestPodsAreIsolated(t *testing.T) {
	host(t)
	_, host4, _, _ := outside(t)
	a, b := start(t, "a"), start(t, "b")
	echoTCP(t, b, 80)
	echoTCP(t, b, 81)
	_, err := b.Publish([]pod.Port{tcp("web", 18081, 80)})
	must(t, err)
	v4, v6 := b.Address()
	wantRefused(t, a.cells[0], v4.String(), 80)
	wantRefused(t, a.cells[0], v4.String(), 81)
	wantRefused(t, a.cells[0], v6.String(), 81)
	if got, err := ask(a.cells[0], host4, 18081); err != nil || !strings.HasSuffix(got, "hello") {
		t.Errorf("published port of another pod by the host: %q, %v", got, err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	host(t)
	before := machineState(t)
	s, err := Create(t.Context(), config(t, "close"))
	must(t, err)
	_, err = s.Publish([]pod.Port{tcp("web", 18082, 80), {Container: "d", HostPort: 18082, ContainerPort: 1, Protocol: pod.UDP}})
	must(t, err)
	if link, err := netlink.LinkByName(linkName("pctclose")); err != nil || link.Attrs().Alias != "pcompose-pctclose" {
		t.Errorf("the link does not say whose it is: %v, %v", link, err)
	}
	must(t, s.Close())
	must(t, s.Close())
	if after := machineState(t); after != before {
		t.Errorf("left on the host:\n%s\nwas:\n%s", after, before)
	}
	if taken, err := Taken([]pod.Port{tcp("", 18082, 0)}, nil); err != nil || len(taken) > 0 {
		t.Errorf("still taken: %v, %v", taken, err)
	}
	if _, err := s.Publish(nil); err == nil {
		t.Error("a closed sandbox publishes")
	}
}

func TestRemoveAfterKill(t *testing.T) {
	host(t)
	before := machineState(t)
	s, err := Create(t.Context(), config(t, "kill"))
	must(t, err)
	_, err = s.Publish([]pod.Port{tcp("web", 18083, 80)})
	must(t, err)
	// What a SIGKILL does: descriptors are closed, nothing else happens.
	must(t, s.Release())
	must(t, Remove("pctkill"))
	must(t, Remove("pctkill"))
	if after := machineState(t); after != before {
		t.Errorf("left on the host:\n%s\nwas:\n%s", after, before)
	}
}

func TestCreateReplacesWhatACrashLeft(t *testing.T) {
	host(t)
	dead, err := Create(t.Context(), config(t, "again"))
	must(t, err)
	files, err := dead.Files()
	must(t, err)
	must(t, dead.Release())
	s := start(t, "again")
	for _, f := range files {
		f.Close()
	}
	was, _ := dead.Address()
	if is, _ := s.Address(); is != was {
		t.Errorf("address %s, was %s", is, was)
	}
	echoTCP(t, s, 80)
	_, err = s.Publish([]pod.Port{tcp("web", 18084, 80)})
	must(t, err)
	wantAnswer(t, nil, "127.0.0.1", 18084, fmt.Sprintf("80 saw %s\nhello", was))
}

func TestAdoptKeepsListeners(t *testing.T) {
	host(t)
	machine, host4, _, its4 := outside(t)
	first, err := Create(t.Context(), config(t, "adopt"))
	must(t, err)
	echoTCP(t, first, 80)
	echoUDP(t, first, 53)
	want := []pod.Port{tcp("web", 18085, 80), tcp("web", 0, 80), {Container: "dns", HostIP: "127.0.0.1", HostPort: 18085, ContainerPort: 53, Protocol: pod.UDP}}
	bound, err := first.Publish(want)
	must(t, err)
	files, err := first.Files()
	must(t, err)
	rules := run(t, "nft", "list", "ruleset")
	must(t, first.Release())

	// Nobody serves, yet the kernel accepts: the client waits in the queue.
	c, err := net.Dial("tcp", "127.0.0.1:18085")
	must(t, err)
	defer c.Close()
	wantAnswer(t, machine, host4.String(), 18085, fmt.Sprintf("80 saw %s\nhello", its4))

	s, err := Adopt(t.Context(), config(t, "adopt"), files)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	for _, f := range files {
		f.Close()
	}
	c.SetDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 64)
	if n, err := c.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "80 saw ") {
		t.Errorf("the waiting client gets %q, %v", buf[:n], err)
	}
	again, err := s.Publish(want)
	must(t, err)
	if !slices.Equal(again, bound) {
		t.Errorf("ports are %v, were %v", again, bound)
	}
	if a, b := fmt.Sprint(first.Address()), fmt.Sprint(s.Address()); a != b || s.Gateway() != first.Gateway() {
		t.Errorf("addresses are %s, were %s", b, a)
	}
	// Adopt may order ports otherwise; Publish puts them as asked.
	if now := run(t, "nft", "list", "ruleset"); now != rules {
		t.Errorf("rules are\n%s\nwere\n%s", now, rules)
	}
}

func TestAdoptNeedsTheNamespace(t *testing.T) {
	host(t)
	if _, err := Adopt(t.Context(), config(t, "none"), nil); err == nil || !strings.Contains(err.Error(), `no file "netns/default"`) {
		t.Errorf("error is %v", err)
	}
	null, err := os.Open("/dev/null")
	must(t, err)
	defer null.Close()
	if _, err := Adopt(t.Context(), config(t, "none"), map[string]*os.File{"netns/default": null}); err == nil {
		t.Error("/dev/null is adopted as a namespace")
	}
}

func TestAddressesCollide(t *testing.T) {
	host(t)
	c := config(t, "one")
	c.Pools = []netip.Prefix{netip.MustParsePrefix("10.77.7.0/29")}
	seen := map[netip.Addr]bool{}
	for i := range 5 {
		c.ID = fmt.Sprintf("pctpool%d", i)
		s, err := Create(t.Context(), c)
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		v4, _ := s.Address()
		if seen[v4] || v4 == s.Gateway() {
			t.Errorf("%s is given twice", v4)
		}
		seen[v4] = true
	}
	before := machineState(t)
	c.ID = "pctpool5"
	if _, err := Create(t.Context(), c); err == nil || !strings.Contains(err.Error(), "used up") {
		t.Errorf("a sixth address of a /29: %v", err)
	}
	if after := machineState(t); after != before {
		t.Errorf("a failed Create left:\n%s\nwas:\n%s", after, before)
	}
}

func TestFailedAttachLeavesNothing(t *testing.T) {
	host(t)
	s := start(t, "whole")
	before := machineState(t)
	c, err := config(t, "second").complete()
	must(t, err)
	// The cell has an eth0 already.
	if _, err := attachVeth(c, s.cells[0]); err == nil || !strings.Contains(err.Error(), "cannot make link") {
		t.Errorf("error is %v", err)
	}
	if after := machineState(t); after != before {
		t.Errorf("left on the host:\n%s\nwas:\n%s", after, before)
	}
}

func TestPodSettings(t *testing.T) {
	host(t)
	s := start(t, "settings")
	must(t, s.cells[0].do(func() error {
		for name, want := range map[string]string{"net/ipv4/ip_unprivileged_port_start": "0", "net/ipv4/ping_group_range": "0\t2147483647", "net/mptcp/enabled": "0"} {
			if !sysctlIs(name, want) {
				return errors.New(name + " is not " + want)
			}
		}
		return nil
	}))
	if f, err := os.Open(s.NamespacePath(pod.DefaultCell)); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
}

// machineState is everything a sandbox may leave on a host, once the kernel has finished with the links that are there:
// it says that one is up, and adds its routes, some time after it was told to.
func machineState(t *testing.T) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); strings.Contains(run(t, "ip", "-o", "link"), "state DOWN"); {
		if time.Now().After(deadline) {
			t.Fatal("a link does not come up")
		}
	}
	var b strings.Builder
	for _, args := range [][]string{{"ip", "-o", "-brief", "addr"}, {"ip", "route", "show", "table", "all"}, {"ip", "-6", "route", "show", "table", "all"}, {"nft", "list", "ruleset"}} {
		b.WriteString(run(t, args[0], args[1:]...))
	}
	return b.String()
}

func BenchmarkCreateClose(b *testing.B) {
	host(b)
	var create, end time.Duration
	for b.Loop() {
		begun := time.Now()
		s, err := Create(b.Context(), config(b, "bench"))
		must(b, err)
		made := time.Now()
		must(b, s.Close())
		create += made.Sub(begun)
		end += time.Since(made)
	}
	b.ReportMetric(float64(create.Microseconds())/float64(b.N), "µs/create")
	b.ReportMetric(float64(end.Microseconds())/float64(b.N), "µs/close")
}

func BenchmarkTakenNothing(b *testing.B) {
	host(b)
	for b.Loop() {
		if _, err := Taken([]pod.Port{tcp("", 18099, 0), {HostPort: 18099, Protocol: pod.UDP}}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestHostWithoutIPv6(t *testing.T) {
	host(t)
	for _, which := range []string{"all", "default"} {
		must(t, writeSysctl("net/ipv6/conf/"+which+"/disable_ipv6", "1"))
		t.Cleanup(func() { must(t, writeSysctl("net/ipv6/conf/"+which+"/disable_ipv6", "0")) })
	}
	s := start(t, "four")
	echoTCP(t, s, 80)
	_, err := s.Publish([]pod.Port{tcp("web", 18120, 80)})
	must(t, err)
	v4, v6 := s.Address()
	if v6.IsValid() {
		t.Errorf("the pod has %s", v6)
	}
	wantAnswer(t, nil, "127.0.0.1", 18120, fmt.Sprintf("80 saw %s\nhello", v4))
}
