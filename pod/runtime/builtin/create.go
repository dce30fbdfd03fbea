//go:build cgo

package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/moby/sys/userns"
	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// making are the options of create and run, and those that exec shares with them.
type making struct {
	bundle, pidFile, console  string
	preserve                  int
	noPivot, noKeyring, alone bool
	detach, keep              bool
}

func (m *making) flags(name string) *pflag.FlagSet {
	flags := newFlags(name)
	flags.StringVar(&m.pidFile, "pid-file", "", "")
	flags.StringVar(&m.console, "console-socket", "", "")
	flags.IntVar(&m.preserve, "preserve-fds", 0, "")
	if name == "exec" {
		flags.BoolVarP(&m.detach, "detach", "d", false, "")
		return flags
	}
	flags.StringVarP(&m.bundle, "bundle", "b", "", "")
	flags.BoolVar(&m.noPivot, "no-pivot", false, "")
	flags.BoolVar(&m.noKeyring, "no-new-keyring", false, "")
	if name == "run" {
		flags.BoolVarP(&m.detach, "detach", "d", false, "")
		flags.BoolVar(&m.keep, "keep", false, "")
		flags.BoolVar(&m.alone, "no-subreaper", false, "") // runc's: it never makes itself one here
	}
	return flags
}

// create makes a container, its first process waiting for start. Nothing of it is left after an error.
func (c *call) create(args []string) (int, error) {
	m := making{detach: true}
	id, _, err := argument(m.flags("create"), args)
	if err != nil {
		return 1, err
	}
	container, process, err := c.make(id, m)
	if err != nil {
		return 1, err
	}
	err = launch(container, container.Start, process, m)
	if err == nil {
		if err = verify(container, process); err == nil {
			return 0, nil
		}
	}
	return 1, errors.Join(err, container.Destroy())
}

// verify ends a process that is not as confined as it should be.
func verify(container *libcontainer.Container, p *libcontainer.Process) error {
	pid, err := p.Pid()
	if err == nil {
		err = verifyFilter(container, pid)
	}
	if err != nil {
		_ = p.Signal(unix.SIGKILL) // it may have ended
		_, _ = p.Wait()            // killed is no news
	}
	return err
}

// runContainer is create and start, and without --detach the container's exit code and its removal.
func (c *call) runContainer(args []string) (int, error) {
	m := making{}
	id, _, err := argument(m.flags("run"), args)
	if err != nil {
		return 1, err
	}
	container, process, err := c.make(id, m)
	if err != nil {
		return 1, err
	}
	err = launch(container, container.Start, process, m)
	if err == nil {
		if err = verify(container, process); err == nil {
			err = container.Exec()
		}
	}
	if err != nil {
		return 1, errors.Join(err, container.Destroy())
	}
	if m.detach {
		return 0, nil
	}
	code, err := wait(process)
	if !m.keep {
		err = errors.Join(err, container.Destroy())
	}
	return code, err
}

// make registers a container from its bundle.
func (c *call) make(id string, m making) (*libcontainer.Container, *libcontainer.Process, error) {
	if m.pidFile != "" {
		var err error
		if m.pidFile, err = filepath.Abs(m.pidFile); err != nil {
			return nil, nil, err
		}
	}
	// libcontainer takes the working directory for the bundle.
	if m.bundle != "" {
		if err := os.Chdir(m.bundle); err != nil {
			return nil, nil, fmt.Errorf("cannot enter bundle: %w", err)
		}
	}
	text, err := os.ReadFile("config.json")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read bundle: %w", err)
	}
	spec := &specs.Spec{}
	if err := json.Unmarshal(text, spec); err != nil {
		return nil, nil, fmt.Errorf("cannot read bundle: config.json: %w", err)
	}
	process, err := newProcess(spec.Process)
	if err != nil {
		return nil, nil, err
	}
	process.Init = true
	compiled, err := shorten(spec)
	if err != nil {
		return nil, nil, err
	}
	config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{
		CgroupName: id, UseSystemdCgroup: c.systemd, NoPivotRoot: m.noPivot, NoNewKeyring: m.noKeyring, Spec: spec,
		RootlessEUID: os.Geteuid() != 0, RootlessCgroups: ignoresCgroups(c.rootless),
	})
	if err != nil {
		return nil, nil, err
	}
	container, err := libcontainer.Create(c.root, id, config)
	if err != nil && settle(config.Cgroups) {
		container, err = libcontainer.Create(c.root, id, config)
	}
	if err == nil && len(compiled) > 0 {
		// As crun does, for the driver to keep.
		err = os.WriteFile(filepath.Join(c.root, id, "seccomp.bpf"), compiled, 0o600)
	}
	return container, process, err
}

// settle says whether a cgroup that had processes has none any more. A create that is killed leaves its child there, and
// that child's child, which end by themselves as soon as they see it; libcontainer refuses a cgroup that is in use.
func settle(c *cgroups.Cgroup) bool {
	m, err := manager.New(c)
	if err != nil {
		return false
	}
	for until, first := time.Now().Add(time.Second), true; ; first = false {
		pids, err := m.GetAllPids()
		if err != nil || len(pids) == 0 {
			return err == nil && !first
		}
		for _, pid := range pids {
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				continue // it has ended
			}
			err = gone(fd, time.Until(until))
			unix.Close(fd)
			if err != nil {
				return false
			}
		}
	}
}

// ignoresCgroups says whether limits that cannot be set are no error. In a user namespace nobody knows beforehand which
// part of the hierarchy was delegated.
func ignoresCgroups(rootless string) bool {
	if yes, err := strconv.ParseBool(rootless); err == nil {
		return yes
	}
	return os.Geteuid() != 0 || userns.RunningInUserNS()
}

// launch gives a process its streams, has it begin, and writes down its pid.
func launch(container *libcontainer.Container, begin func(*libcontainer.Process) error, p *libcontainer.Process, m making) error {
	p.LogLevel = strconv.Itoa(int(logrus.GetLevel()))
	if carries(container.Config()) {
		p.LogLevel = strconv.Itoa(int(logrus.DebugLevel))
	}
	for i := range m.preserve {
		fd := 3 + i
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			return fmt.Errorf("cannot pass on file %d of --preserve-fds %d: %w", fd, m.preserve, err)
		}
		p.ExtraFiles = append(p.ExtraFiles, os.NewFile(uintptr(fd), "preserved "+strconv.Itoa(fd)))
	}
	if m.console == "" {
		p.Stdin, p.Stdout, p.Stderr = os.Stdin, os.Stdout, os.Stderr
	} else {
		// The process itself sends the master side of its terminal there.
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: m.console, Net: "unix"})
		if err != nil {
			return fmt.Errorf("cannot connect to console socket: %w", err)
		}
		defer conn.Close()
		if p.ConsoleSocket, err = conn.File(); err != nil {
			return fmt.Errorf("cannot connect to console socket: %w", err)
		}
		defer p.ConsoleSocket.Close()
	}
	if err := begin(p); err != nil {
		return err
	}
	if err := writePID(m.pidFile, p); err != nil {
		_ = p.Signal(unix.SIGKILL) // it may have ended
		_, _ = p.Wait()            // killed is no news
		return err
	}
	return nil
}

// writePID lets nobody see half a number.
func writePID(file string, p *libcontainer.Process) error {
	if file == "" {
		return nil
	}
	pid, err := p.Pid()
	if err != nil {
		return err
	}
	tmp := file + "." + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(tmp, []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return fmt.Errorf("cannot write pid file: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("cannot write pid file: %w", err)
	}
	return nil
}

// wait passes signals on to a process of ours and returns its exit code, 128+n after signal n.
func wait(p *libcontainer.Process) (int, error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	go func() {
		for s := range signals {
			_ = p.Signal(s) // it may have ended
		}
	}()
	state, err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 1, fmt.Errorf("cannot wait for process: %w", err)
	}
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// start lets the first process of a created container run its command.
func (c *call) start(args []string) error {
	id, _, err := argument(newFlags("start"), args)
	if err != nil {
		return err
	}
	return Start(c.root, id)
}
