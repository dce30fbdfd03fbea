package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/logs"
)

// Logs reads what a container has written; see logs.Read.
func (p *Project) Logs(ctx context.Context, container string, opt logs.ReadOptions, f func(logs.Line) error) error {
	if container == pod.WatchLog {
		return logs.Read(ctx, p.engine.state.LogDir(p.name, pod.WatchLog), opt, f)
	}
	r, err := p.record(container)
	if err != nil {
		return err
	}
	dir := p.logDir(r)
	if err := os.MkdirAll(dir, 0o700); err != nil { // before its first start a container has no log to follow
		return err
	}
	return logs.Read(ctx, dir, opt, f)
}

// Watch sends the status of every container now, and of those that change, until ctx ends or the pod is gone:
// then it closes the channel. A change that is overtaken by the next is not sent.
func (p *Project) Watch(ctx context.Context) (<-chan pod.ContainerStatus, error) {
	e, err := p.editor()
	if err != nil {
		return nil, err
	}
	known := map[string]pod.ContainerStatus{}
	for _, r := range e.Project().Containers {
		known[r.ID] = pod.ContainerStatus{Container: r.Container, ID: r.ID, ImageID: r.ImageID, CreatedAt: r.CreatedAt}
	}
	changes, c := make(chan pod.ContainerStatus), p.client()
	go func() {
		defer close(changes)
		seen := map[string]pod.Run{}
		for ctx.Err() == nil && c.up() { // a supervisor that dies has a successor
			c.watch(ctx, known, seen, changes)
		}
	}()
	return changes, nil
}

// same says whether two runs look alike to a user; probes come and go.
func same(a, b pod.Run) bool {
	return a.State == b.State && a.PID == b.PID && a.Health == b.Health && a.ExitCode == b.ExitCode &&
		a.Restarts == b.Restarts && a.Error == b.Error && a.StartedAt.Equal(b.StartedAt)
}

// Wait waits until a container's process has ended for good and returns its exit code.
func (p *Project) Wait(ctx context.Context, container string) (int, error) {
	r, err := p.record(container)
	if err != nil {
		return 0, err
	}
	reply, err := p.client().ask(ctx, control.Request{Wait: &control.Wait{ID: r.ID}})
	if errors.Is(err, errDown) {
		return p.engine.rest(p.name, r.ID).ExitCode, nil
	}
	return reply.ExitCode, err
}

// Process is a process of a container as the host sees it.
type Process struct {
	PID, PPID, C               int
	UID, STime, TTY, Time, Cmd string
}

// Top lists the processes in a running container, by PID: those of its cgroup.
func (p *Project) Top(_ context.Context, container string) ([]Process, error) {
	r, err := p.record(container)
	if err != nil {
		return nil, err
	}
	pids, err := processesOf(p, r, p.engine.rest(p.name, r.ID).PID)
	if err != nil {
		return nil, fmt.Errorf("cannot list the processes of container %q: %w", container, err)
	}
	clock, err := readClock()
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, pid := range pids {
		if found, err := readProcess(pid, clock); err == nil { // else it has just ended
			all = append(all, found)
		}
	}
	return all, nil
}

// cgroupPIDs are the processes of a cgroup, which is named alike in every hierarchy that has it.
func cgroupPIDs(cgroup string) ([]int, error) {
	const mount = "/sys/fs/cgroup"
	candidates := []string{filepath.Join(mount, cgroup, "cgroup.procs")}
	for _, hierarchy := range []string{"pids", "memory", "cpu", "systemd", "unified"} {
		candidates = append(candidates, filepath.Join(mount, hierarchy, cgroup, "cgroup.procs"))
	}
	for _, path := range candidates {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var pids []int
		for _, line := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(line); err == nil {
				pids = append(pids, pid)
			}
		}
		slices.Sort(pids)
		return pids, nil
	}
	return nil, errNotRunning
}
