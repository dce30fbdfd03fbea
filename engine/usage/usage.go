// Package usage reads what a container uses of the machine: from its cgroup, of version 2 or 1, and from the counters of
// its network namespace.
package usage

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// Sample is what was used until a moment. Sizes are bytes.
type Sample struct {
	At time.Time
	// CPU is the time on all processors together.
	CPU time.Duration
	// Memory is without file pages the kernel would drop first, as docker counts; Limit the cgroup's, 0 for none.
	Memory, Limit uint64
	// PIDs are the processes and threads now.
	PIDs uint64
	// Read and Written are what went from and to block devices.
	Read, Written uint64
	// Received and Sent are what came and went over the network, but for loopback: of all containers of the namespace.
	Received, Sent uint64
}

// CPUShare is how much of one processor was used between two samples, in percent: 200 is two of them.
func CPUShare(before, after Sample) float64 {
	wall := after.At.Sub(before.At)
	if wall <= 0 || after.CPU <= before.CPU {
		return 0
	}
	return 100 * float64(after.CPU-before.CPU) / float64(wall)
}

// Cgroup reads a cgroup below the directory where cgroups are mounted; fs.ErrNotExist where it is not there. What a
// controller that is switched off would know stays 0.
func Cgroup(mount fs.FS, cgroup string) (Sample, error) {
	cgroup = strings.Trim(cgroup, "/")
	if _, err := fs.Stat(mount, "cgroup.controllers"); err == nil {
		return version2(mount, cgroup)
	}
	return version1(mount, cgroup)
}

// version2 reads the unified hierarchy (cgroup-v2.rst, "Controllers").
func version2(mount fs.FS, cgroup string) (Sample, error) {
	if _, err := fs.Stat(mount, cgroup); err != nil {
		return Sample{}, err
	}
	file := func(name string) string { return text(mount, path.Join(cgroup, name)) }
	s := Sample{
		CPU:    time.Duration(keyed(file("cpu.stat"), "usage_usec")) * time.Microsecond,
		Memory: without(number(file("memory.current")), keyed(file("memory.stat"), "inactive_file")),
		Limit:  number(file("memory.max")), // "max" is no number
		PIDs:   number(file("pids.current")),
	}
	for _, word := range strings.Fields(file("io.stat")) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "rbytes":
			s.Read += number(value)
		case "wbytes":
			s.Written += number(value)
		}
	}
	return s, nil
}

// noLimit is from where on cgroup v1 means no limit: it says so by the largest multiple of the page size there is.
const noLimit = 1 << 62

// version1 reads a hierarchy for each controller (cgroup-v1/*.rst).
func version1(mount fs.FS, cgroup string) (Sample, error) {
	file := func(name string, controllers ...string) string {
		for _, c := range controllers {
			if t := text(mount, path.Join(c, cgroup, name)); t != "" {
				return t
			}
		}
		return ""
	}
	_, err := fs.Stat(mount, path.Join("memory", cgroup))
	if err != nil {
		if _, err = fs.Stat(mount, path.Join("pids", cgroup)); err != nil {
			return Sample{}, err
		}
	}
	s := Sample{
		CPU:    time.Duration(number(file("cpuacct.usage", "cpuacct", "cpu,cpuacct"))),
		Memory: without(number(file("memory.usage_in_bytes", "memory")), keyed(file("memory.stat", "memory"), "total_inactive_file")),
		Limit:  number(file("memory.limit_in_bytes", "memory")),
		PIDs:   number(file("pids.current", "pids")),
	}
	if s.Limit >= noLimit {
		s.Limit = 0
	}
	moved := file("blkio.throttle.io_service_bytes_recursive", "blkio")
	if moved == "" {
		moved = file("blkio.throttle.io_service_bytes", "blkio")
	}
	for line := range strings.Lines(moved) { // "8:0 Read 4096"
		f := strings.Fields(line)
		switch {
		case len(f) == 3 && f[1] == "Read":
			s.Read += number(f[2])
		case len(f) == 3 && f[1] == "Write":
			s.Written += number(f[2])
		}
	}
	return s, nil
}

// Network adds the counters of /proc/PID/net/dev (proc_pid_net(5)) to a sample.
func (s *Sample) Network(dev string) {
	for line := range strings.Lines(dev) {
		name, counters, ok := strings.Cut(line, ":")
		f := strings.Fields(counters)
		if !ok || strings.TrimSpace(name) == "lo" || len(f) < 9 {
			continue
		}
		s.Received += number(f[0])
		s.Sent += number(f[8])
	}
}

// clockTick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// Process adds what one process uses, by its stat, status and io in /proc (proc_pid_stat(5), proc_pid_status(5),
// proc_pid_io(5)): its own memory, without pages of files, and the time of children it has waited for.
func (s *Sample) Process(stat, status, io string) {
	// The command name may hold spaces and parentheses: fields count from the last ')', which ends field 2.
	if f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]); len(f) > 14 {
		for _, ticks := range f[11:15] {
			s.CPU += time.Duration(number(ticks)) * clockTick
		}
	}
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "RssAnon", "RssShmem":
			s.Memory += number(strings.TrimSuffix(strings.TrimSpace(value), " kB")) << 10
		case "Threads":
			s.PIDs += number(value)
		}
	}
	s.Read += keyed(io, "read_bytes:")
	s.Written += keyed(io, "write_bytes:")
}

// MemTotal is the machine's memory in bytes, of /proc/meminfo.
func MemTotal(meminfo string) uint64 {
	for line := range strings.Lines(meminfo) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			return number(strings.TrimSuffix(strings.TrimSpace(rest), " kB")) << 10
		}
	}
	return 0
}

// text is a file's content, "" where it cannot be read.
func text(f fs.FS, name string) string {
	b, err := fs.ReadFile(f, name)
	if err != nil {
		return ""
	}
	return string(b)
}

// keyed is the number behind a key in lines of "key number".
func keyed(lines, key string) uint64 {
	for line := range strings.Lines(lines) {
		if rest, ok := strings.CutPrefix(line, key+" "); ok {
			return number(rest)
		}
	}
	return 0
}

func number(s string) uint64 {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func without(all, part uint64) uint64 {
	if part > all {
		return 0
	}
	return all - part
}
