package sandbox

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// BenchmarkCells is what a cell more costs when a pod is made, and when it runs.
func BenchmarkCells(b *testing.B) {
	host(b)
	many := func(n int) (cells []pod.Cell, networks []pod.Network) {
		networks = []pod.Network{{Key: "default", Pools: []pod.Pool{{Subnet: "10.210.0.0/24", Gateway: "10.210.0.1"}}}}
		cells = []pod.Cell{{Name: pod.DefaultCell, Links: []pod.Link{{Network: "default", IPv4: "10.210.0.2/24"}}}}
		for i := range n {
			cells = append(cells, pod.Cell{Name: fmt.Sprintf("web-%d", i+2), Links: []pod.Link{
				{Network: "default", Interface: "eth0", IPv4: fmt.Sprintf("10.210.0.%d/24", i+3), Default: true}}})
		}
		return cells, networks
	}
	for _, n := range []int{0, 1, 10, 50} {
		b.Run(fmt.Sprintf("create-%d", n), func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				c := config(b, "cells")
				if n > 0 {
					c.Cells, c.Networks = many(n)
				}
				begun := time.Now()
				s, err := Create(b.Context(), c)
				must(b, err)
				took += time.Since(begun)
				must(b, s.Close())
				// The kernel takes namespaces apart behind our back, and holds up whoever makes new ones meanwhile.
				time.Sleep(200 * time.Millisecond)
			}
			b.ReportMetric(float64(took.Microseconds())/float64(b.N), "µs/create")
		})
	}
	b.Run("arrange-one-more", func(b *testing.B) {
		s := start(b, "more")
		cells, networks := many(10)
		fewer, _ := many(9)
		must(b, s.Arrange(b.Context(), fewer, networks, nil))
		var more, less time.Duration
		for b.Loop() {
			begun := time.Now()
			must(b, s.Arrange(b.Context(), cells, networks, nil))
			made := time.Now()
			must(b, s.Arrange(b.Context(), fewer, networks, nil))
			more, less = more+made.Sub(begun), less+time.Since(made)
		}
		b.ReportMetric(float64(more.Microseconds())/float64(b.N), "µs/more")
		b.ReportMetric(float64(less.Microseconds())/float64(b.N), "µs/less")
	})
}

// BenchmarkThroughput compares TCP between two cells with that over a plain pair of links, and TCP to a published port
// of a cell with that to one of the first cell.
func BenchmarkThroughput(b *testing.B) {
	host(b)
	one, err := newNamespace("one")
	must(b, err)
	defer one.file.Close()
	two, err := newNamespace("two")
	must(b, err)
	defer two.file.Close()
	must(b, one.do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "plain0"
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "plain1", PeerNamespace: netlink.NsFd(two.fd())})
	}))
	for ns, at := range map[*namespace][2]string{one: {"plain0", "192.0.2.1/24"}, two: {"plain1", "192.0.2.2/24"}} {
		h, err := ns.route()
		must(b, err)
		link, err := h.LinkByName(at[0])
		must(b, err)
		must(b, settleAddresses(h, link, []netip.Prefix{netip.MustParsePrefix(at[1])}, 0))
		must(b, h.LinkSetUp(link))
		h.Close()
	}
	c := planned(b, "fast")
	c.Networks[1].MTU = 0
	s, err := Create(b.Context(), c)
	must(b, err)
	defer s.Close()
	machine, host4, _, _ := outside(b)
	_, err = s.Publish([]pod.Port{tcp("web-1", 18301, 7001), tcp("web-2", 18302, 7002)})
	must(b, err)
	sink(b, two, 7000)
	sink(b, s.cells[0], 7001)
	sink(b, s.cell("web-2"), 7002)
	for _, way := range []struct {
		name string
		from *namespace
		to   netip.Addr
		port uint16
	}{{"plain-veth", one, netip.MustParseAddr("192.0.2.2"), 7000}, {"cell-to-cell", s.cell("api"), netip.MustParseAddr("10.210.1.4"), 7002},
		{"published-first-cell", machine, host4, 18301}, {"published-other-cell", machine, host4, 18302}} {
		b.Run(way.name, func(b *testing.B) {
			conn, err := way.from.connect(pod.TCP, netip.AddrPortFrom(way.to, way.port), netip.AddrPort{})
			must(b, err)
			defer conn.Close()
			buf := make([]byte, 1<<20)
			b.SetBytes(int64(len(buf)))
			before := processorTime(b)
			for b.Loop() {
				if _, err := conn.Write(buf); err != nil {
					b.Fatal(err)
				}
			}
			conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn)
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/MiB")
		})
	}
}

// processorTime is what this process has used: both ends are its own, and on a busy machine it says more than bytes a second.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOutlet is the throughput of the ways out that are a process, out of the pod and in by published ports; the last with
// the proxy of localhost, and by the port of another machine.
func BenchmarkOutlet(b *testing.B) {
	besides(b, func(b *testing.B, c Config, machine *namespace) {
		if c.Outlet.Kind == pod.OutletPasta { // as podman publishes ports by it
			c.Outlet.Options = []string{"-t", "18302:7001"}
		}
		s, err := Create(b.Context(), c)
		must(b, err)
		defer s.Close()
		sink(b, machine, 7000)
		sink(b, s.cells[0], 7001)
		_, err = s.Publish([]pod.Port{tcp("web", 18301, 7001)})
		must(b, err)
		here, err := adoptNamespace(pod.Cell{Name: "host"}, must1(os.Open(threadNetns)))
		must(b, err)
		for _, way := range []struct {
			name string
			from *namespace
			to   string
		}{{"out", s.cells[0], "198.51.100.2:7000"}, {"published-localhost", here, "127.0.0.1:18301"}, {"published", machine, "198.51.100.1:18301"},
			{"by-pasta-localhost", here, "127.0.0.1:18302"}, {"by-pasta", machine, "198.51.100.1:18302"}} {
			if strings.HasPrefix(way.name, "by-pasta") && c.Outlet.Kind != pod.OutletPasta {
				continue
			}
			b.Run(way.name, func(b *testing.B) {
				conn, err := way.from.connect(pod.TCP, netip.MustParseAddrPort(way.to), netip.AddrPort{})
				must(b, err)
				defer conn.Close()
				buf := make([]byte, 1<<20)
				b.SetBytes(int64(len(buf)))
				for b.Loop() {
					if _, err := conn.Write(buf); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sink reads all there is.
func sink(t testing.TB, ns *namespace, port uint16) {
	t.Helper()
	var l net.Listener
	must(t, ns.do(func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	}))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 1<<20)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
				}
			}()
		}
	}()
}
