package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/sandbox"
)

// Listeners are what the running containers of a pod listen on, as the kernel has it, sorted. They are read from the
// network namespaces that the containers are in, so nothing has to be kept of them while nobody asks.
func Listeners(p *Project, observed pod.Status) ([]pod.Listener, error) {
	type cell struct {
		of        int
		processes []sandbox.Process
	}
	var order []string
	cells := map[string]*cell{}
	for _, c := range observed.Containers {
		if c.Run.PID == 0 {
			continue
		}
		namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", c.Run.PID))
		if err != nil {
			continue // it has just ended
		}
		if cells[namespace] == nil {
			cells[namespace] = &cell{of: c.Run.PID}
			order = append(order, namespace)
		}
		pids, err := processesOf(p, state.Record{ID: c.ID, Container: c.Container}, c.Run.PID)
		if err != nil {
			continue // as above
		}
		for _, pid := range pids {
			cells[namespace].processes = append(cells[namespace].processes, sandbox.Process{PID: pid, Container: c.Name})
		}
	}
	var all []pod.Listener
	for _, namespace := range order {
		found, err := sandbox.Listeners(cells[namespace].of, cells[namespace].processes)
		switch {
		case errors.Is(err, fs.ErrNotExist): // as above
		case err != nil:
			return nil, fmt.Errorf("cannot see what containers listen on: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}
