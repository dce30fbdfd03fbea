package engine

import (
	"fmt"
	"os"
	"time"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/engine/usage"
	"github.com/pcompose/pcompose/pod"
)

// Usage is what a running container has used until now; zero for one that does not run. Its Limit is the machine's memory
// where nothing bounds it. The network is that of its network namespace, which it may share.
func Usage(p *Project, c pod.ContainerStatus) (usage.Sample, error) {
	if c.Run.PID == 0 {
		return usage.Sample{}, nil
	}
	s, err := sample(p, c)
	if os.IsNotExist(err) {
		return usage.Sample{}, nil // it has just ended
	}
	if err != nil {
		return s, fmt.Errorf("cannot read what container %q uses: %w", c.Name, err)
	}
	s.At = time.Now()
	if dev, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", c.Run.PID)); err == nil { // as above
		s.Network(string(dev))
	}
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return s, fmt.Errorf("cannot read the machine's memory: %w", err)
	}
	if total := usage.MemTotal(string(meminfo)); s.Limit == 0 || s.Limit > total {
		s.Limit = total
	}
	return s, nil
}

// sample reads a container's cgroup, or its processes where it has none.
func sample(p *Project, c pod.ContainerStatus) (usage.Sample, error) {
	r := state.Record{ID: c.ID, Container: c.Container}
	if cgroup := containerCgroup(p, r); cgroup != "" {
		return usage.Cgroup(os.DirFS(cgroupMount), cgroup)
	}
	pids, err := processesOf(p, r, c.Run.PID)
	if err != nil {
		return usage.Sample{}, nil // it has just ended
	}
	return usageOf(pids), nil
}
