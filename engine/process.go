package engine

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clock turns the kernel's ticks into times.
type clock struct{ boot, now time.Time }

// ticks a second of the times in /proc/PID/stat: USER_HZ is 100 on every architecture Go runs on (proc(5)).
const ticks = 100

func readClock() (clock, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return clock{}, fmt.Errorf("cannot read the time of boot: %w", err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if text, ok := strings.CutPrefix(line, "btime "); ok {
			seconds, err := strconv.ParseInt(text, 10, 64)
			return clock{time.Unix(seconds, 0), time.Now()}, err
		}
	}
	return clock{}, errors.New("cannot read the time of boot: /proc/stat has no btime")
}

// readProcess is a process as ps(1) has it.
func readProcess(pid int, c clock) (Process, error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	b, err := os.ReadFile(dir + "stat")
	if err != nil {
		return Process{}, err
	}
	// The name may hold spaces and parentheses: fields are counted from the last ")".
	open, end := strings.IndexByte(string(b), '('), strings.LastIndexByte(string(b), ')')
	fields := strings.Fields(string(b[end+1:]))
	if open < 0 || len(fields) < 20 {
		return Process{}, fmt.Errorf("%sstat is malformed", dir)
	}
	number := func(field int) int64 { // as proc(5) numbers them; 3 is the first after the name
		n, _ := strconv.ParseInt(fields[field-3], 10, 64)
		return n
	}
	used := time.Duration(number(14)+number(15)) * time.Second / ticks
	started := c.boot.Add(time.Duration(number(22)) * time.Second / ticks)
	p := Process{
		PID: pid, PPID: int(number(4)), UID: owner(dir), TTY: terminalName(number(7)),
		STime: startTime(started, c.now), Time: hms(used), Cmd: "[" + string(b[open+1:end]) + "]",
	}
	if lived := c.now.Sub(started); lived > 0 {
		p.C = int(100 * used / lived)
	}
	if argv, err := os.ReadFile(dir + "cmdline"); err == nil && len(argv) > 0 {
		p.Cmd = strings.TrimSpace(strings.ReplaceAll(string(argv), "\x00", " "))
	}
	return p, nil
}

func owner(dir string) string {
	var st syscall.Stat_t
	if syscall.Stat(dir, &st) != nil {
		return "?"
	}
	uid := strconv.Itoa(int(st.Uid))
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}

func startTime(started, now time.Time) string {
	if now.Sub(started) < 24*time.Hour {
		return started.Format("15:04")
	}
	return started.Format("Jan02")
}

func hms(d time.Duration) string {
	s := int(d.Seconds())
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

// terminalName is the controlling terminal's: major 136 and up are pseudo terminals (Linux devices.txt).
func terminalName(device int64) string {
	major, minor := device>>8&0xfff, device&0xff|device>>12&0xfff00
	if device == 0 || major < 136 || major > 143 {
		return "?"
	}
	return fmt.Sprintf("pts/%d", (major-136)<<8|minor)
}
