package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	watchSaves = 21
	watchFiles = 1000
)

// watching is what a watch takes: from a save until the file is in the container, the median, and until many saved at once
// are.
type watching struct{ one, many time.Duration }

// watches measures a watch of one service; ok is false for a contender that has none.
func (c *contender) watches(dir string) (w watching, ok bool, err error) {
	if strings.HasSuffix(c.argv[len(c.argv)-1], "podman-compose") {
		return w, false, nil
	}
	file := filepath.Join(dir, "watch", "compose.yaml")
	src := filepath.Join(filepath.Dir(file), "src")
	if err := os.MkdirAll(src, 0o755); err != nil {
		return w, false, err
	}
	err = writeFile(file, "services:\n  web:\n    image: docker.io/library/busybox:latest\n    container_name: pct-bench-watch\n"+
		"    command: sleep infinity\n    develop: {watch: [{path: ./src, action: sync, target: /app}]}\n")
	if err != nil {
		return w, false, err
	}
	if _, err := c.compose(file, "up", "-d"); err != nil {
		return w, false, err
	}
	argv := append(slices.Clone(c.argv), "-f", file, "-p", project(file), "watch", "--no-up")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = c.environ()
	if err := cmd.Start(); err != nil {
		return w, false, err
	}
	w, err = c.saves(file, src)
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait() // ended by a signal
	if err == nil {
		_, err = c.compose(file, "down", "-t", "0")
	}
	return w, true, err
}

func (c *contender) saves(file, src string) (w watching, err error) {
	inside, err := c.insideOf(file)
	if err != nil {
		return w, err
	}
	// It has begun when the first save is there; until then a save is nobody's.
	err = c.until(func() error { return save(src, inside, "begun", 500*time.Millisecond) })
	if err != nil {
		return w, err
	}
	var all []time.Duration
	for i := range watchSaves {
		time.Sleep(300 * time.Millisecond) // nothing of the save before is left to do
		begun := time.Now()
		if err := save(src, inside, fmt.Sprint("save ", i), 20*time.Second); err != nil {
			return w, err
		}
		all = append(all, time.Since(begun))
	}
	slices.Sort(all)
	w.one = all[len(all)/2]
	time.Sleep(time.Second)
	begun := time.Now()
	for i := range watchFiles {
		if err := os.WriteFile(filepath.Join(src, fmt.Sprintf("n%04d", i)), make([]byte, 4096), 0o644); err != nil {
			return w, err
		}
	}
	err = c.until(func() error {
		for i := range watchFiles {
			if st, err := os.Stat(filepath.Join(inside, fmt.Sprintf("n%04d", i))); err != nil || st.Size() != 4096 {
				return fmt.Errorf("file %d is not there: %w", i, err)
			}
		}
		return nil
	})
	w.many = time.Since(begun)
	return w, err
}

// save saves a file and returns when it is in the container.
func save(src, inside, content string, within time.Duration) error {
	if err := os.WriteFile(filepath.Join(src, "f"), []byte(content), 0o644); err != nil {
		return err
	}
	end := time.Now().Add(within)
	for {
		b, _ := os.ReadFile(filepath.Join(inside, "f"))
		if string(b) == content {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%q is not there after %s", content, within)
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// insideOf is where files go, as the host sees it: in the root of the container's first process.
func (c *contender) insideOf(file string) (string, error) {
	argv := append(slices.Clone(c.engine), "inspect", "-f", "{{.State.Pid}}", "pct-bench-watch")
	if c.engine == nil {
		argv = append(slices.Clone(c.argv), "pod", "inspect", "-f", "{{(index .Containers 0).Run.PID}}", project(file))
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = c.environ()
	out, err := cmd.Output()
	return filepath.Join("/proc", strings.TrimSpace(string(out)), "root/app"), err
}
