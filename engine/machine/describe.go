package machine

import (
	"debug/elf"
	"math"
	"strconv"
	"strings"
	"time"
)

// Description is what a machine is, rather than what it lacks. What cannot be read is empty.
type Description struct {
	Hostname, Kernel string
	// ID, Version, Codename and Variant are those of os-release(5).
	ID, Version, Codename, Variant string
	CPUs                           int
	// User, System and Idle are shares of the processors' time since the boot, in percent.
	User, System, Idle float64
	// Bytes.
	MemTotal, MemFree, SwapTotal, SwapFree uint64
	Uptime                                 time.Duration
	// UIDs and GIDs are how IDs of this process's user namespace map to those outside of it; nil in the first one.
	UIDs, GIDs []IDRange
}

// IDRange is a line of uid_map (user_namespaces(7)).
type IDRange struct {
	ContainerID uint32 `json:"container_id"`
	HostID      uint32 `json:"host_id"`
	Size        uint32 `json:"size"`
}

// Describe reads the files of a machine.
func Describe(t Tree) Description {
	release := t.release()
	d := Description{
		Hostname: t.line("proc/sys/kernel/hostname"), Kernel: t.line("proc/sys/kernel/osrelease"),
		ID: release["ID"], Version: release["VERSION_ID"], Codename: release["VERSION_CODENAME"], Variant: release["VARIANT_ID"],
		UIDs: t.idMap("proc/self/uid_map"), GIDs: t.idMap("proc/self/gid_map"),
	}
	memory := map[string]*uint64{"MemTotal": &d.MemTotal, "MemFree": &d.MemFree, "SwapTotal": &d.SwapTotal, "SwapFree": &d.SwapFree}
	for lines := t.lines("proc/meminfo"); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		kilobytes, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if at := memory[name]; at != nil && err == nil {
			*at = kilobytes << 10
		}
	}
	seconds, _, _ := strings.Cut(t.line("proc/uptime"), " ")
	if s, err := strconv.ParseFloat(seconds, 64); err == nil {
		d.Uptime = time.Duration(s * float64(time.Second)).Round(10 * time.Millisecond)
	}
	t.processors(&d)
	return d
}

// processors reads proc_stat(5): the first line sums up those that follow, user nice system idle iowait irq softirq steal.
func (t Tree) processors(d *Description) {
	var spent [8]float64
	var all float64
	for lines := t.lines("proc/stat"); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0 || !strings.HasPrefix(fields[0], "cpu"):
		case fields[0] != "cpu":
			d.CPUs++
		default:
			for i, field := range fields[1:min(len(fields), len(spent)+1)] {
				spent[i], _ = strconv.ParseFloat(field, 64)
				all += spent[i]
			}
		}
	}
	if all == 0 {
		return
	}
	percent := func(v float64) float64 { return math.Round(10000*v/all) / 100 }
	d.User, d.System, d.Idle = percent(spent[0]+spent[1]), percent(spent[2]+spent[5]+spent[6]+spent[7]), percent(spent[3]+spent[4])
}

// idMap reads a map of IDs, nil where all of them are here as they are.
func (t Tree) idMap(name string) []IDRange {
	var ranges []IDRange
	for lines := t.lines(name); lines.Scan(); {
		var numbers [3]uint32
		for i, field := range strings.Fields(lines.Text()) {
			if n, err := strconv.ParseUint(field, 10, 32); err == nil && i < len(numbers) {
				numbers[i] = uint32(n)
			}
		}
		ranges = append(ranges, IDRange{numbers[0], numbers[1], numbers[2]})
	}
	if len(ranges) == 1 && ranges[0].Size == math.MaxUint32 {
		return nil
	}
	return ranges
}

// Static says whether a program needs no libraries: it names no interpreter that loads them (elf(5)).
func Static(program string) bool {
	f, err := elf.Open(program)
	if err != nil {
		return false
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}
