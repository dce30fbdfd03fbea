package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/engine/usage"
)

// errNotRunning is about a container that does not run.
var errNotRunning = errors.New("it is not running")

// processesOf are the processes of a container whose first one is known, sorted: those of its cgroup, or, where it has
// none, those of its PID namespace.
func processesOf(p *Project, r state.Record, first int) ([]int, error) {
	if cgroup := containerCgroup(p, r); cgroup != "" {
		return cgroupPIDs(cgroup)
	}
	if first == 0 {
		return nil, errNotRunning
	}
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", first))
	if err != nil {
		return nil, errNotRunning
	}
	if !isFirst(first) {
		return descendants(first), nil
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, process := range all {
		if to, err := os.Readlink(process + "/ns/pid"); err != nil || to != namespace {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(process)); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, err
}

// isFirst says whether a process is the first of its PID namespace: a container may be in another's.
func isFirst(pid int) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(numbers)
			return len(f) > 1 && f[len(f)-1] == "1"
		}
	}
	return false
}

// descendants are a process and all below it. Those of `exec` are not: they are not the first one's children.
func descendants(root int) []int {
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", tree[i]))
		for _, thread := range threads {
			text, _ := os.ReadFile(thread)
			for _, field := range strings.Fields(string(text)) {
				if pid, err := strconv.Atoi(field); err == nil {
					tree = append(tree, pid)
				}
			}
		}
	}
	slices.Sort(tree)
	return tree
}

// usageOf adds up what processes use. What those used that have ended is in it where their parents waited for them.
func usageOf(pids []int) usage.Sample {
	var sum usage.Sample
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d/", pid)
		texts := make([]string, 3)
		for i, name := range []string{"stat", "status", "io"} {
			b, _ := os.ReadFile(dir + name) // one that has just ended uses nothing
			texts[i] = string(b)
		}
		sum.Process(texts[0], texts[1], texts[2])
	}
	return sum
}
