package sandbox

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// Process is a process with the container it is of, for Listeners.
type Process struct {
	PID       int
	Container string
}

// Listeners are the sockets that wait for connections or packets in the network namespace of a process, of those that the
// processes given have, sorted. One that several processes of a container share is said of the first of them. It needs no
// help of theirs, and changes nothing. Processes that end meanwhile are left out.
func Listeners(of int, processes []Process) ([]pod.Listener, error) {
	file, err := os.Open("/proc/" + strconv.Itoa(of) + "/ns/net")
	if err != nil {
		return nil, fmt.Errorf("cannot open network namespace of process %d: %w", of, err)
	}
	ns := &namespace{name: file.Name(), file: file}
	defer file.Close()
	byInode := map[string]pod.Listener{}
	err = ns.do(func() error {
		for _, protocol := range []string{pod.TCP, pod.UDP} {
			ls, err := hostListeners(protocol)
			if err != nil {
				return fmt.Errorf("cannot list %s ports: %w", protocol, err)
			}
			for _, l := range ls {
				if !l.connected && l.at.Port() != 0 {
					byInode[l.inode] = pod.Listener{Protocol: protocol, Address: l.at.Addr().String(), Port: l.at.Port()}
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var all []pod.Listener
	seen := map[pod.Listener]bool{}
	for _, p := range processes {
		for _, inode := range socketsOf(p.PID) {
			l, ok := byInode[inode]
			l.Container = p.Container
			if !ok || seen[l] {
				continue
			}
			seen[l] = true
			l.PID, l.Process = p.PID, processName("/proc/"+strconv.Itoa(p.PID))
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b pod.Listener) int {
		return cmp.Or(strings.Compare(a.Container, b.Container), cmp.Compare(a.Port, b.Port),
			strings.Compare(a.Protocol, b.Protocol), strings.Compare(a.Address, b.Address))
	})
	return all, nil
}
