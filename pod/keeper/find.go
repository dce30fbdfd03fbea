package keeper

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Find names the keeper of a runtime directory and says whether it lives. The pid is 0 when keeper.pid is
// missing or unreadable; a pid that was reused since, or is from before a reboot, is not alive.
func Find(dir string) (pid int, alive bool) {
	text, err := os.ReadFile(filepath.Join(dir, "keeper.pid"))
	if err != nil {
		return 0, false
	}
	var start uint64
	var boot string
	if _, err := fmt.Sscan(string(text), &pid, &start, &boot); err != nil || pid <= 0 {
		return 0, false
	}
	now, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || strings.TrimSpace(string(now)) != boot {
		return pid, false
	}
	// The pidfd is opened first: it pins the process whose start time is then compared (pidfd_open(2), Linux 5.3).
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return pid, false
	}
	defer unix.Close(fd)
	if got, err := StartTime(pid); err != nil || got != start {
		return pid, false
	}
	// A pidfd is readable once its process has ended, zombie or not.
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return pid, err == nil && n == 0
}

// StartTime is field 22 of /proc/PID/stat: clock ticks from boot to the start of the process. With the pid and
// the boot id it names a process for good.
func StartTime(pid int) (uint64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("cannot read start time of process %d: %w", pid, err)
	}
	// The command name may hold spaces and parentheses: fields count from the last ')', which ends field 2.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("cannot read start time of process %d: %d fields", pid, len(fields))
	}
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot read start time of process %d: %w", pid, err)
	}
	return start, nil
}
