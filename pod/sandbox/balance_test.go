package sandbox

import (
	"context"
	"errors"
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

	"github.com/pcompose/pcompose/pod"
)

func TestPortsOfOtherCells(t *testing.T) {
	host(t)
	machine, host4, host6, its4 := outside(t)
	s := startPlanned(t, "cellport")
	for _, cell := range []string{"", "api", "db", "keys", "web-2"} {
		echoTCP(t, only(s.cell(cell)), 80)
	}
	echoUDP(t, only(s.cell("api")), 54)
	want := []pod.Port{tcp("api", 18201, 80), tcp("db", 18202, 80), tcp("keys", 18203, 80), tcp("web-1", 18204, 80),
		{Container: "api", HostPort: 18201, ContainerPort: 54, Protocol: pod.UDP}}
	for range 2 {
		_, err := s.Publish(want)
		must(t, err)
	}
	v4, _ := s.Address()
	// Another machine keeps its address; this one's localhost comes through the proxy, from the container's own address.
	wantAnswer(t, machine, host4.String(), 18201, fmt.Sprintf("80 saw %s\nhello", its4))
	wantAnswer(t, machine, host6.String(), 18201, "80 saw 2001:db8::2\nhello")
	wantAnswer(t, machine, host4.String(), 18202, fmt.Sprintf("80 saw %s\nhello", its4))
	wantAnswer(t, machine, host6.String(), 18202, "80 saw 10.210.0.3\nhello") // its network has no IPv6
	wantAnswer(t, machine, host4.String(), 18204, fmt.Sprintf("80 saw %s\nhello", its4))
	wantAnswer(t, nil, "127.0.0.1", 18201, "80 saw 10.210.1.3\nhello")
	wantAnswer(t, nil, "::1", 18202, "80 saw 10.210.0.3\nhello")
	wantAnswer(t, nil, "127.0.0.1", 18204, fmt.Sprintf("80 saw %s\nhello", v4))
	wantAnswer(t, nil, host4.String(), 18201, fmt.Sprintf("80 saw %s\nhello", host4))
	// A cell reaches itself and its neighbours by the host's address, as a container does that has no neighbours.
	for _, from := range []string{"", "api", "db"} {
		wantAnswer(t, s.cell(from), host4.String(), 18201, fmt.Sprintf("80 saw %s\nhello", s.Gateway()))
	}
	// An internal network: nobody gets in.
	wantRefused(t, nil, "127.0.0.1", 18203)
	wantRefused(t, machine, host4.String(), 18203)
	wantRefused(t, nil, host4.String(), 18203)
	if got, want := s.Published(), want; !slices.Equal(got, want) {
		t.Errorf("published %v, want %v", got, want)
	}
	for _, c := range []struct{ from, to string }{{"machine", host4.String()}, {"", "127.0.0.1"}} {
		ns := machine
		if c.from == "" {
			ns = nil
		}
		if got, err := askUDP(ns, c.to, 18201); err != nil || !strings.HasSuffix(got, ": hello") {
			t.Errorf("UDP by %s: %q, %v", c.to, got, err)
		}
	}
	for container, why := range map[string]string{"alone": "its network mode is none"} {
		if _, err := s.Publish([]pod.Port{tcp(container, 18205, 80)}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("error is %v", err)
		}
	}
	wantAnswer(t, machine, host4.String(), 18201, fmt.Sprintf("80 saw %s\nhello", its4))
	_, err := s.Publish(nil)
	must(t, err)
	wantRefused(t, machine, host4.String(), 18201)
}

func askUDP(from *namespace, to string, port uint16) (string, error) {
	var c net.Conn
	dial := func() (err error) {
		c, err = net.Dial("udp", net.JoinHostPort(to, fmt.Sprint(port)))
		return err
	}
	err := error(nil)
	if from == nil {
		err = dial()
	} else {
		err = from.do(dial)
	}
	if err != nil {
		return "", err
	}
	defer c.Close()
	return exchangeUDP(c)
}

func exchangeUDP(c net.Conn) (string, error) {
	c.SetDeadline(time.Now().Add(3 * time.Second))
	if _, err := c.Write([]byte("hello")); err != nil {
		return "", err
	}
	buf := make([]byte, 1500)
	n, err := c.Read(buf)
	return string(buf[:n]), err
}

// named serves TCP and UDP in a cell until stopped, and says its name.
func named(t testing.TB, ns *namespace, name string, port uint16) (stop func()) {
	t.Helper()
	var l net.Listener
	var u net.PacketConn
	must(t, ns.do(func() (err error) {
		if l, err = net.Listen("tcp", fmt.Sprintf(":%d", port)); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		return err
	}))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(io.Discard, c)
				io.WriteString(c, name)
			}()
		}
	}()
	go func() {
		buf := make([]byte, 1500)
		for {
			_, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			u.WriteTo([]byte(name), from)
		}
	}()
	stop = sync.OnceFunc(func() { l.Close(); u.Close() })
	t.Cleanup(stop)
	return stop
}

func TestReplicasInTurn(t *testing.T) {
	host(t)
	machine, host4, _, _ := outside(t)
	s := startPlanned(t, "turn")
	stop1 := named(t, s.cells[0], "one", 80)
	stop2 := named(t, s.cell("web-2"), "two", 80)
	udp := func(c string) pod.Port {
		return pod.Port{Container: c, HostPort: 18210, ContainerPort: 80, Protocol: pod.UDP}
	}
	want := []pod.Port{tcp("web-1", 18210, 80), tcp("web-2", 18210, 80), udp("web-1"), udp("web-2")}
	bound, err := s.Publish(want)
	must(t, err)
	if !slices.Equal(bound, want) || !slices.Equal(s.Published(), want) {
		t.Errorf("bound %v, published %v", bound, s.Published())
	}
	clients := map[string]func() (string, error){
		"machine":     func() (string, error) { return ask(machine, host4, 18210) },
		"host":        func() (string, error) { return ask(nil, netip.MustParseAddr("127.0.0.1"), 18210) },
		"machine udp": func() (string, error) { return askUDP(machine, host4.String(), 18210) },
		"host udp":    func() (string, error) { return askUDP(nil, "127.0.0.1", 18210) },
	}
	count := func(client string, n int) string {
		got := map[string]int{}
		for range n {
			who, err := clients[client]()
			if err != nil {
				who = err.Error()
			}
			got[who]++
		}
		return fmt.Sprint(got)
	}
	for client := range clients {
		if got := count(client, 10); got != "map[one:5 two:5]" {
			t.Errorf("%s gets %s", client, got)
		}
	}
	held, err := machine.connect(pod.TCP, netip.AddrPortFrom(host4, 18210), netip.AddrPort{})
	must(t, err)
	defer held.Close()
	flow, err := machine.connect(pod.UDP, netip.AddrPortFrom(host4, 18210), netip.AddrPort{})
	must(t, err)
	defer flow.Close()
	_, err = exchangeUDP(flow)
	must(t, err)

	// Load while each is taken out, stopped, and taken in again, some rounds.
	var failed, done atomic.Int64
	ctx, end := context.WithCancel(t.Context())
	var clientsDone sync.WaitGroup
	for name, ask := range clients {
		clientsDone.Add(1)
		go func() {
			defer clientsDone.Done()
			for ctx.Err() == nil {
				if got, err := ask(); err != nil || got != "one" && got != "two" {
					failed.Add(1)
					t.Errorf("%s: %q, %v", name, got, err)
				}
				done.Add(1)
			}
		}()
	}
	clientsDone.Add(1)
	go func() {
		defer clientsDone.Done()
		for ctx.Err() == nil {
			if got, err := exchangeUDP(flow); err != nil || got != "one" && got != "two" {
				failed.Add(1)
				t.Errorf("one flow: %q, %v", got, err)
			}
		}
	}()
	settle := func() { // what was on its way when the switch was made has arrived
		for from := done.Load(); done.Load() < from+40 && failed.Load() == 0; {
			time.Sleep(time.Millisecond)
		}
	}
	for range 5 {
		must(t, s.Ready("web-1", false))
		settle()
		stop1()
		settle()
		stop1 = named(t, s.cells[0], "one", 80)
		must(t, s.Ready("web-1", true))
		must(t, s.Ready("web-2", false))
		must(t, s.Ready("web-2", false))
		settle()
		stop2()
		settle()
		stop2 = named(t, s.cell("web-2"), "two", 80)
		must(t, s.Ready("web-2", true))
	}
	end()
	clientsDone.Wait()
	t.Logf("%d requests, %d failed", done.Load(), failed.Load())
	held.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(held); err != nil || len(got) != 3 {
		t.Errorf("a connection from before gets %q, %v", got, err)
	}
	// None is ready: better one that is not than nobody.
	must(t, s.Ready("web-1", false))
	if got := count("machine", 4); got != "map[two:4]" {
		t.Errorf("machine gets %s", got)
	}
	must(t, s.Ready("web-2", false))
	if got := count("machine", 4); got != "map[one:2 two:2]" {
		t.Errorf("machine gets %s", got)
	}
	// A name goes over with its ports and readiness; the way of no packet changes.
	must(t, s.Ready("web-2", true))
	Rename(s, map[string]string{"web-1": "web-1.old", "web-2": "web-1"})
	if got := count("machine", 4); got != "map[two:4]" {
		t.Errorf("machine gets %s once web-2 is called web-1", got)
	}
	must(t, s.Ready("web-1.old", true))
	if got := count("machine", 4); got != "map[one:2 two:2]" {
		t.Errorf("machine gets %s", got)
	}
	if _, err := s.Publish([]pod.Port{tcp("web-1", 18210, 80)}); err != nil {
		t.Error(err)
	}
	if got := count("machine", 4); got != "map[two:4]" {
		t.Errorf("machine gets %s once only web-1 publishes", got)
	}
	// Two services are not replicas.
	var taken *PortTaken
	if _, err := s.Publish([]pod.Port{tcp("web-1", 18210, 80), tcp("api", 18210, 80)}); !errors.As(err, &taken) {
		t.Errorf("error is %v", err)
	}
}

// TestPublishAtAnotherAddress: a port goes from all addresses of the host to one and back while a keeper holds its socket, and
// who fails to take the new address has the old one again.
func TestPublishAtAnotherAddress(t *testing.T) {
	host(t)
	s := startPlanned(t, "elsewhere")
	defer named(t, s.cells[0], "one", 80)()
	loopback := netip.MustParseAddr("127.0.0.1")
	clients := map[string]func() (string, error){
		pod.TCP: func() (string, error) { return ask(nil, loopback, 18215) },
		pod.UDP: func() (string, error) { return askUDP(nil, "127.0.0.1", 18215) },
	}
	at := func(ip, protocol string) pod.Port {
		return pod.Port{Container: "web-1", HostIP: ip, HostPort: 18215, ContainerPort: 80, Protocol: protocol}
	}
	var held map[string]*os.File // as the keeper has them, until it is told
	letGo := func() {
		for _, f := range held {
			f.Close()
		}
	}
	defer func() { letGo() }()
	for _, ip := range []string{"", "127.0.0.1", "", "0.0.0.0"} {
		_, err := s.Publish([]pod.Port{at(ip, pod.TCP), at(ip, pod.UDP)})
		must(t, err)
		letGo()
		held, err = s.Files()
		must(t, err)
		for protocol, ask := range clients {
			if got, err := ask(); err != nil || got != "one" {
				t.Errorf("%s at %q: %q, %v", protocol, ip, got, err)
			}
		}
	}
	if _, err := s.Publish([]pod.Port{at("192.0.2.1", pod.TCP)}); err == nil {
		t.Error("an address that the host has not got is published")
	}
	if got, err := clients[pod.TCP](); err != nil || got != "one" {
		t.Errorf("after a failure: %q, %v", got, err)
	}
}
