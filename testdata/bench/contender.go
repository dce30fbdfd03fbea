package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// contender is an implementation of Compose that is measured.
type contender struct {
	name string
	// argv is its compose command, engine its container command, which pcompose does not have.
	argv, engine []string
	env          []string
	// helpers are the names of the processes that it runs beside containers; the binary's own for pcompose.
	helpers []string
	// overhead of reaching it, which is not its own.
	overhead time.Duration
	close    func()
}

// findContenders sets up pcompose and those peers that answer, all with the image in their store.
func findContenders(dir string, o options) ([]*contender, error) {
	var found []*contender
	enter := strings.Fields(os.Getenv("BENCH_ENTER"))
	peers := []*contender{
		{name: "docker compose", argv: []string{"docker", "compose"}, engine: []string{"docker"},
			helpers: []string{"dockerd", "containerd", "containerd-shim", "docker-proxy"}},
		{name: "podman-compose", argv: []string{"podman-compose"}, engine: []string{"podman"},
			helpers: []string{"conmon", "aardvark-dns", "netavark", "catatonit", "slirp4netns", "pasta"}},
	}
	if slices.Contains(o.only, "pcompose") {
		c, err := newPcompose(dir, o.pcompose)
		if err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	for _, c := range peers {
		if !slices.Contains(o.only, c.engine[0]) {
			continue
		}
		c.argv, c.engine = append(slices.Clone(enter), c.argv...), append(slices.Clone(enter), c.engine...)
		c.close = func() {}
		if _, err := c.run(append(slices.Clone(c.engine), "info")...); err != nil {
			fmt.Fprintf(os.Stderr, "bench: without %s, which does not answer: %v\n", c.name, err)
			continue
		}
		if _, err := c.run(append(slices.Clone(c.engine), "load", "-q", "-i", imageFile(dir))...); err != nil {
			return nil, err
		}
		if len(enter) > 0 {
			var err error
			if c.overhead, err = c.reach(enter); err != nil {
				return nil, err
			}
		}
		found = append(found, c)
	}
	return found, nil
}

// reach measures the command that leads to a peer, as the median of nine.
func (c *contender) reach(enter []string) (time.Duration, error) {
	var all []time.Duration
	for range 9 {
		took, err := c.run(append(slices.Clone(enter), "true")...)
		if err != nil {
			return 0, err
		}
		all = append(all, took)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// newPcompose gives pcompose a store, state and run root of the bench's own.
func newPcompose(dir, binary string) (*contender, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	// Sockets need a short path. Run roots are on a tmpfs, which /run is not on every test machine.
	runRoot, err := os.MkdirTemp("/run", "pct-bench-")
	if err == nil {
		err = unix.Mount("tmpfs", runRoot, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700")
	}
	if err != nil {
		return nil, err
	}
	storage := filepath.Join(dir, "storage")
	conf := filepath.Join(dir, "storage.conf")
	content := fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n", storage, filepath.Join(runRoot, "storage"))
	if err := os.WriteFile(conf, []byte(content), 0o644); err != nil {
		return nil, err
	}
	c := &contender{
		name: "pcompose", argv: []string{binary}, helpers: []string{filepath.Base(binary)},
		env: []string{"PCOMPOSE_ROOT=" + filepath.Join(dir, "state"), "PCOMPOSE_RUNROOT=" + runRoot, "CONTAINERS_STORAGE_CONF=" + conf},
		close: func() {
			// containers-storage keeps a private mount on its overlay folder.
			_ = unix.Unmount(filepath.Join(storage, "overlay"), unix.MNT_DETACH)
			_ = unix.Unmount(runRoot, unix.MNT_DETACH)
			os.RemoveAll(runRoot)
		},
	}
	_, err = c.run(binary, "image", "load", "-i", imageFile(dir))
	return c, err
}

// environ is the contender's environment. The lab's registry is none of it: images are loaded, and peers in another
// root would not find its file.
func (c *contender) environ() []string {
	return append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "CONTAINERS_REGISTRIES_CONF=")
	}), c.env...)
}

// run runs a command and returns how long it took.
func (c *contender) run(argv ...string) (time.Duration, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = c.environ()
	// Files, not pipes: a pipe would be waited for until the last process that inherited it ends.
	out, err := os.CreateTemp("", "pct-bench-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	started := time.Now()
	err = cmd.Run()
	took := time.Since(started)
	if err != nil {
		said, _ := os.ReadFile(out.Name())
		return took, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, bytes.TrimSpace(said))
	}
	return took, nil
}

// compose runs a compose command on the project of a file.
func (c *contender) compose(file string, args ...string) (time.Duration, error) {
	argv := append(slices.Clone(c.argv), "-f", file, "-p", project(file))
	return c.run(append(argv, args...)...)
}

// project is the name of a file's project.
func project(file string) string { return "pct-" + filepath.Base(filepath.Dir(file)) }
