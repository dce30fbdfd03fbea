package sandbox

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/usernet"
)

const insideVar = "PCT_SANDBOX_TEST_NETNS"

// TestMain runs the tests again in a network namespace of their own, which is "the host" to them: this machine's
// links, rules and ports stay as they are.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == PortsCommand {
		if err := ServePorts(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 2 && os.Args[1] == usernet.Command {
		if err := usernet.Main(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getuid() != 0 || os.Getenv(insideVar) != "" {
		os.Exit(m.Run())
	}
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Env = append(os.Environ(), insideVar+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := again.Run(); err != nil {
		if again.ProcessState == nil {
			fmt.Fprintln(os.Stderr, "cannot make a network namespace for the tests:", err)
		}
		os.Exit(1)
	}
}

// host prepares the namespace of the tests as a host.
func host(t testing.TB) {
	t.Helper()
	if os.Getenv(insideVar) == "" {
		t.Skip("SKIPPED: needs root to make network namespaces")
	}
	must(t, loopbackUp())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func config(t testing.TB, id string) Config {
	return Config{ID: "pct" + id, Name: "pct" + id, LockFile: filepath.Join(t.TempDir(), "lock")}
}

func start(t testing.TB, id string) *Sandbox {
	t.Helper()
	s, err := Create(t.Context(), config(t, id))
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// outside is another machine: a namespace with a wire to the host.
func outside(t testing.TB) (machine *namespace, host4, host6, its4 netip.Addr) {
	t.Helper()
	machine, err := newNamespace("outside")
	must(t, err)
	t.Cleanup(func() { machine.file.Close() })
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Flags = "pctwire", net.FlagUp
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "wire0", PeerNamespace: netlink.NsFd(machine.fd())}))
	t.Cleanup(func() {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		must(t, err)
		defer h.Close()
		must(t, removeLink(h, "pctwire"))
	})
	here, err := netlink.LinkByName("pctwire")
	must(t, err)
	for _, a := range []string{"198.51.100.1/24", "2001:db8::1/64"} {
		p, err := netlink.ParseAddr(a)
		must(t, err)
		p.Flags |= unix.IFA_F_NODAD
		must(t, netlink.AddrAdd(here, p))
	}
	h, err := machine.route()
	must(t, err)
	defer h.Close()
	there, err := h.LinkByName("wire0")
	must(t, err)
	must(t, h.LinkSetUp(there))
	for _, a := range []string{"198.51.100.2/24", "2001:db8::2/64"} {
		p, err := netlink.ParseAddr(a)
		must(t, err)
		p.Flags |= unix.IFA_F_NODAD
		must(t, h.AddrAdd(there, p))
	}
	return machine, netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("198.51.100.2")
}

// echoTCP serves in the pod until the test ends: it says whom it sees, then returns what it is sent.
func echoTCP(t testing.TB, s *Sandbox, port uint16) {
	t.Helper()
	var l net.Listener
	must(t, s.cells[0].do(func() (err error) {
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
				fmt.Fprintf(c, "%d saw %s\n", port, c.RemoteAddr().(*net.TCPAddr).IP)
				io.Copy(c, c)
			}()
		}
	}()
}

// only is a namespace as the sandbox that the echo servers want.
func only(ns *namespace) *Sandbox { return &Sandbox{inside: inside{cells: []*namespace{ns}}} }

func echoUDP(t testing.TB, s *Sandbox, port uint16) {
	t.Helper()
	var l net.PacketConn
	must(t, s.cells[0].do(func() (err error) {
		l, err = net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		return err
	}))
	t.Cleanup(func() { l.Close() })
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			l.WriteTo(fmt.Appendf(nil, "saw %s: %s", from.(*net.UDPAddr).IP, buf[:n]), from)
		}
	}()
}

// ask dials from a namespace (nil is the host), says hello, ends its side, and gives all that comes back.
func ask(from *namespace, to netip.Addr, port uint16) (string, error) {
	at := netip.AddrPortFrom(to, port)
	var c net.Conn
	var err error
	if from == nil {
		c, err = net.DialTimeout("tcp", at.String(), 2*time.Second)
	} else {
		err = from.do(func() (err error) {
			c, err = net.DialTimeout("tcp", at.String(), 3*time.Second)
			return err
		})
	}
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("hello")); err != nil {
		return "", err
	}
	c.(*net.TCPConn).CloseWrite()
	all, err := io.ReadAll(c)
	return string(all), err
}

func wantAnswer(t *testing.T, from *namespace, to string, port uint16, want string) {
	t.Helper()
	got, err := ask(from, netip.MustParseAddr(to), port)
	if err != nil || got != want {
		t.Errorf("%s port %d answers %q, %v; want %q", to, port, got, err, want)
	}
}

func wantRefused(t *testing.T, from *namespace, to string, port uint16) {
	t.Helper()
	if got, err := ask(from, netip.MustParseAddr(to), port); err == nil {
		t.Errorf("%s port %d answers %q; want an error", to, port, got)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Logf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

func tcp(container string, hostPort, port uint16) pod.Port {
	return pod.Port{Container: container, HostPort: hostPort, ContainerPort: port, Protocol: pod.TCP}
}

// program is the name of the test binary.
func program(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	return filepath.Base(exe)
}
