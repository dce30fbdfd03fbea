package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// besides runs a test for each outlet that is a process, on a host with a way out.
func besides[T interface {
	testing.TB
	Run(string, func(T)) bool
}](t T, f func(t T, c Config, machine *namespace)) {
	host(t)
	for _, kind := range []pod.OutletKind{pod.OutletPasta, pod.OutletBuiltIn} {
		t.Run(string(kind), func(t T) {
			c := config(t, "out")
			c.Outlet, c.Dir = pod.Outlet{Kind: kind}, t.TempDir()
			c.Warn = func(s string) { t.Log(s) }
			if kind == pod.OutletPasta {
				var err error
				if c.Outlet.Program, err = exec.LookPath("pasta"); err != nil {
					t.Skip("SKIPPED: pasta is not installed")
				}
			}
			if fix := tapFix(); fix != "" {
				t.Skip("SKIPPED: " + fix)
			}
			machine, _, _, its4 := outside(t)
			wire, err := netlink.LinkByName("pctwire")
			must(t, err)
			must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: wire.Attrs().Index, Gw: its4.AsSlice()}))
			must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: wire.Attrs().Index, Gw: netip.MustParseAddr("2001:db8::2").AsSlice()}))
			f(t, c, machine)
		})
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to pass: " + what)
		}
	}
}

// reply is what comes back of a port that says whom it sees, until it is so long. Unlike ask it does not end its own side
// first: the pasta of 2023 repeats for ever what comes after that.
func reply(from *namespace, to string, port uint16, long int) (string, error) {
	var c net.Conn
	dial := func() (err error) {
		c, err = net.DialTimeout("tcp", net.JoinHostPort(to, fmt.Sprint(port)), 2*time.Second)
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
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("hello")); err != nil {
		return "", err
	}
	buf := make([]byte, long)
	n, err := io.ReadFull(c, buf)
	return string(buf[:n]), err
}

func wantReply(t *testing.T, from *namespace, to string, port uint16, want string) {
	t.Helper()
	if got, err := reply(from, to, port, len(want)); err != nil || got != want {
		t.Errorf("%s port %d answers %q, %v; want %q", to, port, got, err, want)
	}
}

// reuse lets two connections of one client have one port.
func reuse(_, _ string, c syscall.RawConn) (err error) {
	cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	return errors.Join(cerr, err)
}

func startWith(t *testing.T, c Config) *Sandbox {
	t.Helper()
	s, err := Create(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func TestOutletReachesOut(t *testing.T) {
	besides(t, func(t *testing.T, c Config, machine *namespace) {
		s := startWith(t, c)
		other := only(machine)
		echoTCP(t, other, 7000)
		wantReply(t, s.cells[0], "198.51.100.2", 7000, "7000 saw 198.51.100.1\nhello")
		wantReply(t, s.cells[0], "2001:db8::2", 7000, "7000 saw 2001:db8::1\nhello")
		if got := s.Gateway(); got.String() != "198.51.100.1" {
			t.Errorf("the host is at %s", got)
		}
	})
}

func TestOutletKeepsSources(t *testing.T) {
	besides(t, func(t *testing.T, c Config, machine *namespace) {
		s := startWith(t, c)
		echoTCP(t, s, 80)
		echoUDP(t, s, 53)
		_, err := s.Publish([]pod.Port{tcp("web", 18300, 80), {Container: "dns", HostPort: 18300, ContainerPort: 53, Protocol: pod.UDP}})
		must(t, err)
		v4, _ := s.Address()
		wantReply(t, machine, "198.51.100.1", 18300, "80 saw 198.51.100.2\nhello")
		wantReply(t, machine, "2001:db8::1", 18300, "80 saw 2001:db8::2\nhello")
		wantReply(t, nil, "127.0.0.1", 18300, fmt.Sprintf("80 saw %s\nhello", v4))
		wantReply(t, nil, "198.51.100.1", 18300, "80 saw 198.51.100.1\nhello")
		// The pod itself, by the host's address.
		wantReply(t, s.cells[0], "198.51.100.1", 18300, "80 saw 198.51.100.1\nhello")
		u, err := machine.connect(pod.UDP, netip.MustParseAddrPort("198.51.100.1:18300"), netip.AddrPort{})
		must(t, err)
		defer u.Close()
		u.SetDeadline(time.Now().Add(5 * time.Second))
		u.Write([]byte("hi"))
		buf := make([]byte, 100)
		if n, err := u.Read(buf); err != nil || string(buf[:n]) != "saw 198.51.100.2: hi" {
			t.Errorf("a datagram is answered %q, %v", buf[:n], err)
		}
		// One client, one port of its own, two published ports that lead to one.
		_, err = s.Publish([]pod.Port{tcp("web", 18300, 80), tcp("web", 18301, 80)})
		must(t, err)
		must(t, machine.do(func() error {
			from := &net.TCPAddr{IP: net.ParseIP("198.51.100.2"), Port: 40123}
			for _, port := range []string{"18300", "18301"} {
				d := net.Dialer{LocalAddr: from, Timeout: 5 * time.Second, Control: reuse}
				conn, err := d.Dial("tcp4", "198.51.100.1:"+port)
				if err != nil {
					return err
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(5 * time.Second))
				conn.Write([]byte("hello"))
				n, err := conn.Read(buf)
				if err != nil || !strings.Contains(string(buf[:n]), "saw 198.51.100.2") {
					return fmt.Errorf("%s answers %q, %w", port, buf[:n], err)
				}
			}
			return nil
		}))
	})
}

func TestOutletComesBack(t *testing.T) {
	besides(t, func(t *testing.T, c Config, machine *namespace) {
		s := startWith(t, c)
		other := only(machine)
		echoTCP(t, other, 7000)
		echoTCP(t, s, 80)
		_, err := s.Publish([]pod.Port{tcp("web", 18310, 80)})
		must(t, err)
		held, err := machine.connect(pod.TCP, netip.MustParseAddrPort("198.51.100.1:18310"), netip.AddrPort{})
		must(t, err)
		defer held.Close()
		for range 3 {
			var p *companion
			eventually(t, "there is a process of the outlet", func() bool { // which works before its pid is written
				p = findCompanion(pidFile(c.Dir))
				return p != nil
			})
			must(t, p.kill())
			p.file.Close()
			eventually(t, "the way out is back", func() bool {
				got, err := reply(s.cells[0], "198.51.100.2", 7000, 9)
				return err == nil && got != ""
			})
			wantReply(t, machine, "198.51.100.1", 18310, "80 saw 198.51.100.2\nhello")
		}
		// A connection by a published port did not notice.
		held.SetDeadline(time.Now().Add(5 * time.Second))
		held.Write([]byte("hello"))
		buf := make([]byte, 100)
		if n, err := held.Read(buf); err != nil {
			t.Errorf("the connection from before: %q, %v", buf[:n], err)
		}
	})
}

func TestOutletIsAdopted(t *testing.T) {
	besides(t, func(t *testing.T, c Config, machine *namespace) {
		other := only(machine)
		echoTCP(t, other, 7000)
		first, err := Create(t.Context(), c)
		must(t, err)
		echoTCP(t, first, 80)
		_, err = first.Publish([]pod.Port{tcp("web", 18320, 80)})
		must(t, err)
		files, err := first.Files()
		must(t, err)
		before := findCompanion(pidFile(c.Dir)).pid
		must(t, first.Release())
		s, err := Adopt(t.Context(), c, files)
		must(t, err)
		if after := findCompanion(pidFile(c.Dir)).pid; after != before {
			t.Errorf("process %d is in the place of %d", after, before)
		}
		wantReply(t, s.cells[0], "198.51.100.2", 7000, "7000 saw 198.51.100.1\nhello")
		wantReply(t, machine, "198.51.100.1", 18320, "80 saw 198.51.100.2\nhello")
		must(t, s.Release())
		// Nobody saw it end, and nobody its file.
		must(t, findCompanion(pidFile(c.Dir)).kill())
		must(t, os.Remove(pidFile(c.Dir)))
		s, err = Adopt(t.Context(), c, files)
		must(t, err)
		wantReply(t, s.cells[0], "198.51.100.2", 7000, "7000 saw 198.51.100.1\nhello")
		must(t, s.Close())
		for _, f := range files {
			f.Close()
		}
		if p := findCompanion(pidFile(c.Dir)); p != nil {
			t.Errorf("process %d is left", p.pid)
		}
	})
}

func TestOutletOfACrashIsEnded(t *testing.T) {
	besides(t, func(t *testing.T, c Config, _ *namespace) {
		s, err := Create(t.Context(), c)
		must(t, err)
		must(t, s.Release())
		must(t, os.Remove(pidFile(c.Dir))) // it was killed before that was written
		must(t, EndOutlet(c.Dir, c.Outlet))
		must(t, EndOutlet(c.Dir, c.Outlet))
		out, err := exec.Command("ps", "ax", "-o", "args").Output()
		must(t, err)
		if strings.Contains(string(out), pidFile(c.Dir)) {
			t.Errorf("a process is left:\n%s", out)
		}
	})
}

func TestPastaArguments(t *testing.T) {
	w := wayOut{mark: "/run/x/outlet.pid", id: "x", v4: netip.MustParseAddr("10.89.0.1"), v6: netip.MustParseAddr("fd70::1"), prefix: 16, gateway: netip.MustParseAddr("10.89.255.254")}
	for _, test := range []struct {
		user          []string
		with, without string
	}{
		{nil, "-a 10.89.0.1 -n 16 -g 10.89.255.254 -a fd70::1 -g fe80::1 -t none -u none -T none -U none", "--map-gw"},
		{nil, "--no-map-gw", ""},
		{[]string{"--map-gw"}, "-q", "map-gw"},
		{[]string{"-t", "auto"}, "-t auto", "-t none"},
		{[]string{"-I", "tap0", "-f"}, "-I eth0", "tap0"},
		{[]string{"-a", "10.0.2.15"}, "-a 10.0.2.15", "10.89"},
		{[]string{"--ipv4-only"}, "--ipv4-only", "fd70"},
		{[]string{"--mtu=1500"}, "--mtu=1500", "--map-gw"},
		{[]string{"-P", "/elsewhere"}, "-P /run/x/outlet.pid --netns /proc/self/fd/0", "elsewhere"},
	} {
		got := strings.Join(pastaArguments(test.user, w), " ")
		if !strings.Contains(got, test.with) || test.without != "" && slices.Contains(strings.Fields(got), test.without) {
			t.Errorf("%q: got %s, want %q in it and not %q", test.user, got, test.with, test.without)
		}
	}
}

// TestPortsOutliveTheirSupervisor: connections by published ports go on while there is no supervisor, and with the next.
func TestPortsOutliveTheirSupervisor(t *testing.T) {
	besides(t, func(t *testing.T, c Config, machine *namespace) {
		first, err := Create(t.Context(), c)
		must(t, err)
		echoTCP(t, first, 80)
		echoTCP(t, first, 81)
		_, err = first.Publish([]pod.Port{tcp("web", 18330, 80), tcp("web", 18331, 81)})
		must(t, err)
		held, err := machine.connect(pod.TCP, netip.MustParseAddrPort("198.51.100.1:18330"), netip.AddrPort{})
		must(t, err)
		defer held.Close()
		says := func(want string) {
			t.Helper()
			held.SetDeadline(time.Now().Add(5 * time.Second))
			held.Write([]byte(want))
			buf := make([]byte, len(want))
			if n, err := io.ReadFull(held, buf); err != nil || string(buf) != want {
				t.Errorf("the connection answers %q, %v; want %q", buf[:n], err, want)
			}
		}
		banner := make([]byte, len("80 saw 198.51.100.2\n"))
		held.SetDeadline(time.Now().Add(5 * time.Second))
		_, err = io.ReadFull(held, banner)
		must(t, err)
		files, err := first.Files()
		must(t, err)
		before := findCompanion(porterFile(c.Dir)).pid
		must(t, first.Release())
		says("nobody supervises")
		wantReply(t, machine, "198.51.100.1", 18331, "81 saw 198.51.100.2\nhello")
		s, err := Adopt(t.Context(), c, files)
		must(t, err)
		for _, f := range files {
			f.Close()
		}
		says("the next one does")
		if after := findCompanion(porterFile(c.Dir)).pid; after != before {
			t.Errorf("process %d is in the place of %d", after, before)
		}
		// What it changes, the process does.
		_, err = s.Publish([]pod.Port{tcp("web", 18330, 80), tcp("web", 18332, 81)})
		must(t, err)
		says("still")
		wantReply(t, machine, "198.51.100.1", 18332, "81 saw 198.51.100.2\nhello")
		eventually(t, "the old port is refused", func() bool {
			_, err := reply(machine, "198.51.100.1", 18331, 1)
			return errors.Is(err, unix.ECONNREFUSED)
		})
		// It is killed: its connections break, and the next one serves.
		p := findCompanion(porterFile(c.Dir))
		must(t, p.kill())
		wantReply(t, machine, "198.51.100.1", 18330, "80 saw 198.51.100.2\nhello")
		_, err = s.Publish(nil)
		must(t, err)
		if p := findCompanion(porterFile(c.Dir)); p != nil {
			t.Errorf("process %d serves no port", p.pid)
		}
		must(t, s.Close())
	})
}
