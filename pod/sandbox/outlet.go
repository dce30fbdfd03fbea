package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// outlet joins the first cell to the world outside: a veth pair where we may make one, else a process beside the pod.
type outlet interface {
	// address of the pod, invalid for a family it has not got, and the host as the pod sees it, invalid where it does not.
	address() (v4, v6, gateway netip.Addr)
	// routes says whether the host itself sends connections on. Where it does not, all come by the held sockets.
	routes() bool
	// forward lets connections from other machines go exactly these ways; idempotent, all or nothing.
	forward(ways []way) error
	// mtu is that of the way out, in bytes.
	mtu() int
	// files are what it cannot be found by, by the keys of Sandbox.Files.
	files() map[string]*os.File
	// release lets go of it for a successor, detach takes everything off the host again. Both are idempotent.
	release()
	detach() error
}

// attach makes the outlet of a pod, in place of what a dead pod of the same id left.
func attach(c Config, cell *namespace) (outlet, error) {
	if !c.beside() {
		return attachVeth(c, cell)
	}
	return attachBeside(c, cell)
}

// find takes over the outlet of a pod.
func findOutlet(c Config, cell *namespace) (outlet, error) {
	if !c.beside() {
		return findVeth(c, cell)
	}
	return findBeside(c, cell)
}

// beside says whether the outlet is a process beside the pod.
func (c Config) beside() bool {
	return c.Outlet.Kind != "" && c.Outlet.Kind != pod.OutletVeth
}

// MayLink says whether this process may make links and rules in its network namespace: it has CAP_NET_ADMIN in the user
// namespace that owns it. A user's own user namespace does not own the host's network.
func MayLink() bool {
	f, err := os.Open(threadNetns)
	if err != nil {
		return false
	}
	defer f.Close()
	// It fails with EPERM where the owner is not ours, or a child of ours (ioctl_ns(2)).
	owner, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return false
	}
	unix.Close(owner)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	return unix.Capget(&header, &caps[0]) == nil && caps[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}

// hostAddress is an address of the host on its way out, else any that others could reach it at; invalid for none.
func hostAddress() netip.Addr {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return netip.Addr{}
	}
	defer h.Close()
	// Addresses for documentation (RFC 5737, RFC 3849): the kernel tells by which address they would be asked.
	for _, far := range []string{"198.51.100.1", "2001:db8::1"} {
		to := netip.MustParseAddr(far)
		routes, err := h.RouteGet(to.AsSlice())
		if err != nil || len(routes) == 0 {
			continue
		}
		if src, ok := netip.AddrFromSlice(routes[0].Src); ok && !src.IsLoopback() {
			return src.Unmap()
		}
	}
	addrs, err := h.AddrList(nil, unix.AF_INET)
	if err != nil {
		return netip.Addr{}
	}
	for _, a := range addrs {
		if addr := fromIPNet(a.IPNet).Addr(); !addr.IsLoopback() && !addr.IsLinkLocalUnicast() {
			return addr
		}
	}
	return netip.Addr{}
}

// pidFile is the file in a pod's run directory that names the outlet's process; its path is also among the arguments of that.
func pidFile(dir string) string { return filepath.Join(dir, "outlet.pid") }

// tapFix says what to do where a tap cannot be made; "" where that is not the reason.
func tapFix() string {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	switch {
	case err == nil:
		f.Close()
		return ""
	case errors.Is(err, os.ErrNotExist):
		return "/dev/net/tun is missing: load the module (as root: modprobe tun); in a container, start that with --device /dev/net/tun"
	case errors.Is(err, os.ErrPermission):
		return "/dev/net/tun may not be opened: let everybody open it, as systems usually do (as root: chmod 666 /dev/net/tun)"
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return "the kernel has no tun device: load its module (as root: modprobe tun)"
	}
	return fmt.Sprintf("/dev/net/tun cannot be opened: %v", err)
}
