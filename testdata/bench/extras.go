package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// restAfter is how long idle services are left alone before memory is read: at rest is what the bar says, and every
// contender may first give back what starting needed.
const restAfter = 5 * time.Second

// helperMemory is the anonymous memory, in MB, of what runs beside n idle services: supervisors, monitors, daemons.
func (c *contender) helperMemory(dir string, n int) (float64, error) {
	file := projectFile(dir, n)
	if _, err := c.compose(file, "up", "-d"); err != nil {
		return 0, err
	}
	time.Sleep(restAfter)
	kilobytes := 0
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, process := range processes {
		exe, err := os.Readlink(process + "/exe")
		if err != nil || !slices.ContainsFunc(c.helpers, func(h string) bool { return strings.HasPrefix(filepath.Base(exe), h) }) {
			continue
		}
		kilobytes += pssAnon(process)
	}
	_, err = c.compose(file, "down", "-t", "0")
	return float64(kilobytes) / 1000, err
}

// pssAnon reads Pss_Anon of smaps_rollup (proc(5)) in kB; a process that has just ended has none.
func pssAnon(process string) int {
	content, err := os.ReadFile(process + "/smaps_rollup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss_Anon:" {
			kb, _ := strconv.Atoi(fields[1])
			return kb
		}
	}
	return 0
}

const (
	logMegabytes = 200
	logLines     = logMegabytes * 1000 * 1000 / 100
)

// logThroughput has a container write its lines at once and returns MB/s until it has ended, and the lines kept.
func (c *contender) logThroughput(dir string) (rate float64, kept int, err error) {
	file := filepath.Join(dir, "logs", "compose.yaml")
	// The lines are made before the clock starts: what is measured is the way from the pipe to the disk.
	script := fmt.Sprintf("yes %s | head -n %d > /dev/shm/lines; touch /ready; while [ ! -e /go ]; do usleep 1000; done; cat /dev/shm/lines",
		strings.Repeat("x", 99), logLines)
	// podman's k8s-file and docker's json-file keep everything unless told otherwise; ours is told to.
	logging := ""
	if c.engine == nil {
		logging = "\n    logging: {options: {max-size: 1g}}"
	}
	err = writeFile(file, fmt.Sprintf("services:\n  log:\n    image: docker.io/library/busybox:latest\n    container_name: pct-bench-log\n"+
		"    shm_size: 512m\n    command: [sh, -c, %q]%s\n", script, logging))
	if err != nil {
		return 0, 0, err
	}
	if _, err := c.compose(file, "up", "-d"); err != nil {
		return 0, 0, err
	}
	if err := c.until(func() error { _, err := c.compose(file, "exec", "-T", "log", "test", "-e", "/ready"); return err }); err != nil {
		return 0, 0, err
	}
	started := time.Now()
	if _, err := c.compose(file, "exec", "-T", "log", "touch", "/go"); err != nil {
		return 0, 0, err
	}
	if c.engine == nil {
		_, err = c.compose(file, "wait", "log")
	} else {
		_, err = c.run(append(slices.Clone(c.engine), "wait", "pct-bench-log")...)
	}
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(started) - 2*c.overhead
	if kept, err = c.countLines(file); err != nil {
		return 0, 0, err
	}
	_, err = c.compose(file, "down", "-t", "0")
	return logMegabytes / took.Seconds(), kept, err
}

// until tries for half a minute.
func (c *contender) until(try func() error) error {
	end := time.Now().Add(30 * time.Second)
	for {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *contender) countLines(file string) (int, error) {
	argv := append(slices.Clone(c.engine), "logs", "pct-bench-log")
	if c.engine == nil {
		argv = append(slices.Clone(c.argv), "-f", file, "-p", project(file), "logs", "log")
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = c.environ()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	lines, line := 0, []byte(strings.Repeat("x", 99))
	for read := bufio.NewScanner(out); read.Scan(); {
		if bytes.HasSuffix(bytes.TrimSpace(read.Bytes()), line) {
			lines++
		}
	}
	return lines, cmd.Wait()
}
