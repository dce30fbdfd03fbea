package resolver_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/pcompose/pcompose/pod/resolver"
)

// start answers from a view on sockets of the loopback, and gives a client of each protocol.
func start(t *testing.T, view resolver.View) (s *resolver.Server, udp, tcp *net.Resolver) {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = resolver.New(packets, streams)
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	s.Show(func() resolver.View { return view })
	client := func(network, address string) *net.Resolver {
		return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}}
	}
	return s, client("udp", packets.LocalAddr().String()), client("tcp", streams.Addr().String())
}

func view() resolver.View {
	ip := netip.MustParseAddr
	return resolver.View{
		Names: map[string][]netip.Addr{
			"web": {ip("10.0.0.2"), ip("10.0.0.3"), ip("fd00::2")}, "db": {ip("10.0.0.4")}, "idle": nil,
		},
		Pointers: map[netip.Addr]string{ip("10.0.0.4"): "db", ip("fd00::2"): "web-1"},
		Services: map[string][]resolver.Service{"_http._tcp.web": {{Target: "web", Port: 8080}}},
	}
}

// TestAnswer asks for every kind of record over both protocols.
func TestAnswer(t *testing.T) {
	_, udp, tcp := start(t, view())
	ctx := t.Context()
	for name, client := range map[string]*net.Resolver{"udp": udp, "tcp": tcp} {
		t.Run(name, func(t *testing.T) {
			for host, want := range map[string][]string{
				"web.": {"10.0.0.2", "10.0.0.3", "fd00::2"}, "WEB.": {"10.0.0.2", "10.0.0.3", "fd00::2"}, "db.": {"10.0.0.4"},
			} {
				got, err := client.LookupHost(ctx, host)
				slices.Sort(got)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%s is %v, %v; want %v", host, got, err, want)
				}
			}
			for addr, want := range map[string]string{"10.0.0.4": "db.", "fd00::2": "web-1."} {
				if got, err := client.LookupAddr(ctx, addr); err != nil || !slices.Equal(got, []string{want}) {
					t.Errorf("%s is %v, %v; want %s", addr, got, err, want)
				}
			}
			_, records, err := client.LookupSRV(ctx, "http", "tcp", "web")
			if err != nil || len(records) != 1 || records[0].Target != "web." || records[0].Port != 8080 {
				t.Errorf("SRV is %v, %v", records, err)
			}
			for _, host := range []string{"nobody.", "idle."} {
				var missing *net.DNSError
				if _, err := client.LookupHost(ctx, host); !errors.As(err, &missing) || !missing.IsNotFound {
					t.Errorf("%s: %v; want not found", host, err)
				}
			}
		})
	}
}

// TestTurn holds that each replica is first in its turn, and a new view in force for the next question.
func TestTurn(t *testing.T) {
	s, udp, _ := start(t, view())
	first := map[string]int{}
	for range 20 {
		ips, err := udp.LookupIP(t.Context(), "ip4", "web.")
		if err != nil {
			t.Fatal(err)
		}
		first[ips[0].String()]++
	}
	if len(first) != 2 {
		t.Errorf("the first of the answers were %v; want both", first)
	}
	s.Show(func() resolver.View {
		return resolver.View{Names: map[string][]netip.Addr{"web": {netip.MustParseAddr("10.9.9.9")}}}
	})
	if got, err := udp.LookupHost(t.Context(), "web."); err != nil || !slices.Equal(got, []string{"10.9.9.9"}) {
		t.Errorf("after the change: %v, %v", got, err)
	}
}

// TestForward passes on what the view does not know, to the first server that can answer, and nothing that it does.
func TestForward(t *testing.T) {
	outside, _, _ := start(t, resolver.View{Names: map[string][]netip.Addr{"example.org": {netip.MustParseAddr("192.0.2.1")}, "web": {netip.MustParseAddr("192.0.2.2")}}})
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := netip.MustParseAddrPort(silent.LocalAddr().String())
	silent.Close() // nobody listens there: the question is refused, and the next server asked
	v := view()
	live := addressOf(t, outside)
	v.Upstream = func() []netip.AddrPort { return []netip.AddrPort{dead, live} }
	_, udp, _ := start(t, v)
	if got, err := udp.LookupHost(t.Context(), "example.org."); err != nil || !slices.Equal(got, []string{"192.0.2.1"}) {
		t.Errorf("example.org is %v, %v", got, err)
	}
	if got, err := udp.LookupIP(t.Context(), "ip4", "db."); err != nil || got[0].String() != "10.0.0.4" {
		t.Errorf("db is %v, %v", got, err)
	}
	var missing *net.DNSError
	if got, err := udp.LookupHost(t.Context(), "idle."); !errors.As(err, &missing) || !missing.IsNotFound {
		t.Errorf("idle is %v, %v; want not found, and nobody else asked", got, err)
	}
	v.Upstream = func() []netip.AddrPort { return []netip.AddrPort{dead} }
	_, udp, _ = start(t, v)
	if _, err := udp.LookupHost(t.Context(), "example.org."); !errors.As(err, &missing) || missing.IsNotFound {
		t.Errorf("with no server left: %v; want a failure that is no denial", err)
	}
}

// addressOf is where a server answers UDP.
func addressOf(t *testing.T, s *resolver.Server) netip.AddrPort {
	t.Helper()
	return netip.MustParseAddrPort(s.LocalAddr().String())
}

// TestElsewhere: what the pod has goes before what others have, and those before the servers.
func TestElsewhere(t *testing.T) {
	v, asked := view(), 0
	v.Elsewhere = func() resolver.View {
		asked++
		return resolver.View{
			Names:    map[string][]netip.Addr{"web": {netip.MustParseAddr("10.9.0.9")}, "far": {netip.MustParseAddr("10.9.0.2")}},
			Pointers: map[netip.Addr]string{netip.MustParseAddr("10.9.0.2"): "far-1"},
		}
	}
	_, udp, _ := start(t, v)
	if got, err := udp.LookupHost(t.Context(), "web."); err != nil || len(got) != 3 || asked != 0 {
		t.Errorf("web is %v, %v, others were asked %d times", got, err, asked)
	}
	if got, err := udp.LookupHost(t.Context(), "far."); err != nil || !slices.Equal(got, []string{"10.9.0.2"}) {
		t.Errorf("far is %v, %v", got, err)
	}
	if got, err := udp.LookupAddr(t.Context(), "10.9.0.2"); err != nil || !slices.Equal(got, []string{"far-1."}) {
		t.Errorf("10.9.0.2 is %v, %v", got, err)
	}
	if got, err := udp.LookupHost(t.Context(), "nobody."); err == nil {
		t.Errorf("nobody is %v", got)
	}
}

// TestDial: servers are asked by the way that the view has.
func TestDial(t *testing.T) {
	behind, _, _ := start(t, view())
	v := resolver.View{
		Upstream: func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")} },
		Dial: func(network string, to netip.AddrPort) (net.Conn, error) {
			if to.String() != "192.0.2.1:53" {
				t.Errorf("%s is dialled", to)
			}
			return net.Dial("udp", behind.LocalAddr().String())
		},
	}
	_, udp, _ := start(t, v)
	if got, err := udp.LookupHost(t.Context(), "db."); err != nil || !slices.Equal(got, []string{"10.0.0.4"}) {
		t.Errorf("db is %v, %v", got, err)
	}
}

// TestLarge cuts an answer that does not fit a datagram, which makes the client ask again over TCP.
func TestLarge(t *testing.T) {
	v := resolver.View{Names: map[string][]netip.Addr{}}
	for i := range 200 {
		v.Names["many"] = append(v.Names["many"], netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}))
	}
	s, _, tcp := start(t, v)
	if got, err := tcp.LookupHost(t.Context(), "many."); err != nil || len(got) != 200 {
		t.Errorf("%d addresses over TCP, %v", len(got), err)
	}
	conn, err := net.Dial("udp", s.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	question := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{{
		Name: dnsmessage.MustNewName("many."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	packed, err := question.Pack()
	if err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 65535)
	if _, err := conn.Write(packed); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(reply)
	if err != nil || n > 512 {
		t.Fatalf("%d bytes, %v; want at most 512", n, err)
	}
	var m dnsmessage.Message
	if err := m.Unpack(reply[:n]); err != nil || !m.Truncated || m.ID != 7 || len(m.Answers) == 0 {
		t.Errorf("%v, %v; want a cut answer", m.Header, err)
	}
}

// FuzzQuestion sends bytes that are no question: the server goes on.
func FuzzQuestion(f *testing.F) {
	f.Add([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'e', 'b', 0, 0, 1, 0, 1})
	f.Add([]byte{})
	f.Add([]byte{0, 1, 0x81, 0x80, 0, 1})
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	s := resolver.New(packets, streams)
	f.Cleanup(func() { s.Close() })
	s.Show(view)
	client := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", packets.LocalAddr().String())
	}}
	f.Fuzz(func(t *testing.T, question []byte) {
		conn, err := net.Dial("udp", packets.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(question) // too large a datagram is not sent
		if got, err := client.LookupIP(t.Context(), "ip4", "db."); err != nil || len(got) != 1 {
			t.Fatalf("after %x: %v, %v", question, got, err)
		}
	})
}
