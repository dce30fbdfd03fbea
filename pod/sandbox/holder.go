package sandbox

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// process is one that holds a socket of the host; the zero value is one that cannot be read.
type process struct {
	pid  int
	name string
	// project is that of a keeper or a supervisor.
	project string
	// container is that of podman's conmon, which holds the ports of containers.
	container string
	// unit is the systemd service it is part of.
	unit string
}

// tell fills in who has a port and how it is stopped.
func (p process) tell(t *pod.TakenPort) {
	t.PID, t.Process, t.Project = p.pid, p.name, p.project
	switch {
	case p.pid == 0:
	case p.project != "":
		t.Owner, t.Stop = fmt.Sprintf("project %q", p.project), fmt.Sprintf("pcompose -p %s down", p.project)
	case p.container != "":
		t.Owner, t.Stop = fmt.Sprintf("podman's container %q", p.container), "podman stop "+p.container
	case p.unit != "":
		t.Owner, t.Stop = fmt.Sprintf("%s (pid %d)", p.name, p.pid), "systemctl stop "+strings.TrimSuffix(p.unit, ".service")
	default:
		t.Owner, t.Stop = fmt.Sprintf("%s (pid %d)", p.name, p.pid), fmt.Sprintf("kill %d", p.pid)
	}
}

// holder finds the process that has a socket, the lowest pid first. It looks at every descriptor of every process, so it
// is for conflicts only.
func holder(inode string) process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return process{}
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range pids {
		// Processes that end meanwhile, or are not ours to look at, are passed over.
		if slices.Contains(socketsOf(pid), inode) {
			return readProcess(pid)
		}
	}
	return process{}
}

// socketsOf are the inodes of the sockets that a process has.
func socketsOf(pid int) []string {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, _ := os.ReadDir(dir)
	var inodes []string
	for _, fd := range fds {
		to, _ := os.Readlink(filepath.Join(dir, fd.Name()))
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes
}

func readProcess(pid int) process {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	p := process{pid: pid, name: processName(dir)}
	b, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	argv := strings.Split(string(b), "\x00")
	// Keeper and supervisor both have the pod's run directory, named after the project, among their arguments.
	switch {
	case len(argv) > 2 && argv[0] == "pcompose-keeper":
		p.project = filepath.Base(argv[1])
	case len(argv) > 2 && argv[0] == "pcompose" && argv[1] == "supervisor":
		p.project = filepath.Base(argv[2])
	case len(argv) > 2 && argv[0] == "pcompose" && argv[1] == PortsCommand:
		p.project = filepath.Base(filepath.Dir(argv[2]))
	case p.name == "conmon":
		if i := slices.Index(argv, "-n"); i >= 0 && i+1 < len(argv) {
			p.container = argv[i+1]
		}
	}
	cgroups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
	p.unit = unit(string(cgroups))
	return p
}

// unit is the service of systemd's system manager that a file like /proc/PID/cgroup (cgroups(7)) names; "" for none.
func unit(cgroups string) string {
	for line := range strings.Lines(cgroups) {
		_, at, _ := strings.Cut(strings.TrimSpace(line), ":/system.slice/")
		if name := path.Base(at); strings.HasSuffix(name, ".service") {
			return name
		}
	}
	return ""
}

// processName is the name of a process, given its directory in /proc.
func processName(dir string) string {
	comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
	name := strings.TrimSpace(string(comm))
	// That is what /proc/self/exe leaves of a program that started itself again.
	if exe, err := os.Readlink(filepath.Join(dir, "exe")); name == "exe" && err == nil {
		return filepath.Base(exe)
	}
	return name
}
