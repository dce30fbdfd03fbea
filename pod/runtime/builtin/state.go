//go:build cgo

package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runc/libcontainer"
	"golang.org/x/sys/unix"
)

// shown is a container as state and list print it: the runtime specification's state and what runc adds.
type shown struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	PID         int               `json:"pid"`
	Status      string            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func describe(container *libcontainer.Container) (shown, error) {
	status, err := container.Status()
	if err != nil {
		return shown{}, err
	}
	st, err := container.State()
	if err != nil {
		return shown{}, err
	}
	s := shown{
		Version: st.Config.Version, ID: st.ID, Status: status.String(), Rootfs: st.Config.Rootfs, Created: st.Created,
		Bundle: label(st.Config.Labels, "bundle"), Annotations: map[string]string{},
	}
	if status != libcontainer.Stopped {
		s.PID = st.InitProcessPid
	}
	for _, l := range st.Config.Labels {
		if name, value, _ := strings.Cut(l, "="); name != "bundle" {
			s.Annotations[name] = value
		}
	}
	return s, nil
}

func show(out io.Writer, v any) error { return json.NewEncoder(out).Encode(v) }

// state prints what is known of a container.
func (c *call) state(args []string) error {
	id, _, err := argument(newFlags("state"), args)
	if err != nil {
		return err
	}
	container, err := c.load(id)
	if err != nil {
		return err
	}
	s, err := describe(container)
	if err != nil {
		return err
	}
	return show(c.out, s)
}

// list prints all containers below the root as a JSON array; -q only their names.
func (c *call) list(args []string) error {
	flags := newFlags("list")
	quiet := flags.BoolP("quiet", "q", false, "")
	format := flags.StringP("format", "f", "json", "")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if *format != "json" {
		return fmt.Errorf("list: unknown format %q: only json is known", *format)
	}
	entries, err := os.ReadDir(c.root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	all := []shown{}
	for _, e := range entries {
		container, err := c.load(e.Name())
		if errors.Is(err, libcontainer.ErrNotExist) {
			continue // half made, or just removed
		}
		if err != nil {
			return err
		}
		s, err := describe(container)
		if err != nil {
			return err
		}
		if *quiet {
			fmt.Fprintln(c.out, s.ID)
		}
		all = append(all, s)
	}
	if *quiet {
		return nil
	}
	return show(c.out, all)
}

// kill sends a signal, SIGTERM by default, to the first process, or with --all to every one.
func (c *call) kill(args []string) error {
	flags := newFlags("kill")
	all := flags.BoolP("all", "a", false, "")
	id, rest, err := argument(flags, args)
	if err != nil {
		return err
	}
	sig := unix.SIGTERM
	if len(rest) > 0 {
		if sig, err = parseSignal(rest[0]); err != nil {
			return err
		}
	}
	container, err := c.load(id)
	if err != nil {
		return err
	}
	if !*all || sig == unix.SIGKILL { // SIGKILL takes the PID namespace along, or the cgroup
		return container.Signal(sig)
	}
	pids, err := container.Processes()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("cannot signal process %d: %w", pid, err)
		}
	}
	return nil
}

// parseSignal takes 9, KILL and SIGKILL.
func parseSignal(s string) (unix.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil {
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if sig := unix.SignalNum("SIG" + strings.TrimPrefix(name, "SIG")); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("unknown signal %q", s)
}

// delete removes what is held of a container that has ended, or was never started; with --force it kills one first.
func (c *call) delete(args []string) error {
	flags := newFlags("delete")
	force := flags.BoolP("force", "f", false, "")
	id, _, err := argument(flags, args)
	if err != nil {
		return err
	}
	container, err := c.load(id)
	if errors.Is(err, libcontainer.ErrNotExist) && *force {
		// A killed create may have left the directory without the state.
		return os.RemoveAll(filepath.Join(c.root, id))
	}
	if err != nil {
		return err
	}
	status, err := container.Status()
	switch {
	case err != nil:
		return err
	case status == libcontainer.Stopped && !*force:
		return container.Destroy()
	case status != libcontainer.Created && !*force:
		return fmt.Errorf("cannot delete a container that is %s", status)
	}
	// Also one that has stopped: without a PID namespace of its own some of it may be left in its cgroup.
	return end(container)
}

// end kills a container and removes it once its first process is gone.
func end(container *libcontainer.Container) error {
	st, err := container.State()
	if err != nil {
		return err
	}
	// Before the signal: after it the number may be another's.
	fd, err := unix.PidfdOpen(st.InitProcessPid, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	_ = container.Signal(unix.SIGKILL) // what has ended needs none
	// The number of one that has ended is perhaps another's already, for whose end nobody waits.
	if status, statusErr := container.Status(); err == nil && (statusErr != nil || status != libcontainer.Stopped) {
		const patience = 10 * time.Second // runc's: uninterruptible sleep may hold it back
		if err := gone(fd, patience); err != nil {
			return err
		}
	}
	return container.Destroy()
}

// gone waits until the process of a pidfd has ended, reaped or not.
func gone(fd int, patience time.Duration) error {
	for until := time.Now().Add(patience); ; {
		left := time.Until(until)
		if left <= 0 {
			return errors.New("the container's first process does not end")
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("cannot wait for the container's first process: %w", err)
		}
	}
}

// bare is a command that takes nothing but a container: pause and resume.
func (c *call) bare(verb string, do func(*libcontainer.Container) error) func(args []string) error {
	return func(args []string) error {
		id, _, err := argument(newFlags(verb), args)
		if err != nil {
			return err
		}
		container, err := c.load(id)
		if err != nil {
			return err
		}
		return do(container)
	}
}

// ps prints the pids of a container's processes, as the caller sees them.
func (c *call) ps(args []string) error {
	flags := newFlags("ps")
	format := flags.StringP("format", "f", "json", "")
	id, _, err := argument(flags, args)
	if err != nil {
		return err
	}
	if *format != "json" {
		return fmt.Errorf("ps: unknown format %q: only json is known", *format)
	}
	container, err := c.load(id)
	if err != nil {
		return err
	}
	pids, err := container.Processes()
	if err != nil {
		return err
	}
	return show(c.out, pids)
}
