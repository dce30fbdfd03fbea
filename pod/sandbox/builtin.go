package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/usernet"
)

// tapKey is the key of the tap among the files of a sandbox.
const tapKey = "outlet/tap"

// startBuiltIn starts our own stack on the pod's tap, which it makes first where there is none.
func (b *beside) startBuiltIn(w wayOut) (*companion, error) {
	if b.tap != nil && b.look() != nil { // it is of a namespace that is no more
		b.tap.Close()
		b.tap = nil
	}
	if b.tap == nil {
		tap, err := makeTap(w)
		if err != nil {
			return nil, fmt.Errorf("cannot make %s of the pod: %w", podLink, err)
		}
		b.tap = tap
	}
	link := usernet.Link{Gateway: w.gateway, Ours: hardwareAddress(w.id, "host"), Pods: hardwareAddress(w.id, "pod")}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: usernet.Arguments(w.mark, link), Dir: "/", Env: []string{},
		Stderr: os.Stderr, ExtraFiles: []*os.File{b.tap},
	}
	p, err := startCompanion(cmd, w.mark, startPowerless)
	if err != nil {
		return nil, fmt.Errorf("cannot start the built-in network: %w", err)
	}
	return p, nil
}

// startPowerless starts a program that gets no capability, whoever its user is: execve(2) gives root those of the bounding
// set, and it has none left.
func startPowerless(cmd *exec.Cmd) error {
	return onOwnThread(func() (restored bool, err error) {
		last, err := lastCapability()
		if err != nil {
			return true, err
		}
		// The set is the thread's, and stays so small: the thread is thrown away.
		for c := range last + 1 {
			// Who may not give any away has few.
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EPERM) {
				return false, fmt.Errorf("cannot drop capability %d: %w", c, err)
			}
		}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return false, err
		}
		return false, cmd.Start()
	})
}

// lastCapability is the number of the last one that the kernel knows: capabilities(7).
func lastCapability() (int, error) {
	b, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return 0, err
	}
	var last int
	_, err = fmt.Sscan(string(b), &last)
	return last, err
}

// makeTap makes the pod's link, with addresses, neighbours and routes as a veth pair's has them. It goes with the last
// descriptor of it.
func makeTap(w wayOut) (*os.File, error) {
	var tap *os.File
	if err := w.cell.do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		req, err := unix.NewIfreq(podLink)
		if err == nil {
			req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
		}
		if err != nil {
			unix.Close(fd)
			return err
		}
		tap = os.NewFile(uintptr(fd), "tap")
		return nil
	}); err != nil {
		return nil, err
	}
	if err := configureTap(w); err != nil {
		tap.Close()
		return nil, err
	}
	return tap, nil
}

func configureTap(w wayOut) error {
	h, err := w.cell.route()
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(podLink)
	if err != nil {
		return err
	}
	if err := h.LinkSetHardwareAddr(link, hardwareAddress(w.id, "pod")); err != nil {
		return err
	}
	if err := setMTU(h, link, usernet.MTU); err != nil {
		return err
	}
	return (&veth{id: w.id, v4: w.v4, v6: w.v6, gateway: w.gateway}).configureInside(h)
}

func (b *beside) files() map[string]*os.File {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tap == nil || b.isOver() {
		return map[string]*os.File{}
	}
	return map[string]*os.File{tapKey: b.tap}
}
