//go:build cgo

package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// newProcess is a process of the runtime specification as libcontainer takes it.
func newProcess(p *specs.Process) (*libcontainer.Process, error) {
	switch {
	case p == nil:
		return nil, errors.New("the configuration has no process")
	case len(p.Args) == 0:
		return nil, errors.New("process.args is empty")
	case !filepath.IsAbs(p.Cwd):
		return nil, fmt.Errorf("process.cwd %q is not absolute", p.Cwd)
	}
	out := &libcontainer.Process{
		Args: p.Args, Env: p.Env, Cwd: p.Cwd, UID: int(p.User.UID), GID: int(p.User.GID),
		Label: p.SelinuxLabel, AppArmorProfile: p.ApparmorProfile, NoNewPrivileges: &p.NoNewPrivileges,
		Scheduler: p.Scheduler, IOPriority: p.IOPriority,
	}
	for _, gid := range p.User.AdditionalGids {
		out.AdditionalGroups = append(out.AdditionalGroups, int(gid))
	}
	if size := p.ConsoleSize; size != nil {
		out.ConsoleWidth, out.ConsoleHeight = uint16(size.Width), uint16(size.Height)
	}
	if c := p.Capabilities; c != nil {
		out.Capabilities = &configs.Capabilities{
			Bounding: c.Bounding, Effective: c.Effective, Inheritable: c.Inheritable, Permitted: c.Permitted, Ambient: c.Ambient,
		}
	}
	for _, l := range p.Rlimits {
		resource, ok := rlimits()[l.Type]
		if !ok {
			return nil, fmt.Errorf("unknown limit %q in process.rlimits", l.Type)
		}
		out.Rlimits = append(out.Rlimits, configs.Rlimit{Type: resource, Hard: l.Hard, Soft: l.Soft})
	}
	var err error
	if out.CPUAffinity, err = configs.ConvertCPUAffinity(p.ExecCPUAffinity); err != nil {
		return nil, err
	}
	return out, nil
}

func rlimits() map[string]int {
	return map[string]int{
		"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_CPU": unix.RLIMIT_CPU, "RLIMIT_DATA": unix.RLIMIT_DATA,
		"RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS, "RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK,
		"RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE,
		"RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_RSS": unix.RLIMIT_RSS, "RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO,
		"RLIMIT_RTTIME": unix.RLIMIT_RTTIME, "RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING, "RLIMIT_STACK": unix.RLIMIT_STACK,
	}
}

// exec runs a further process in a container. Its exit code is the command's own, or 255 where that could not be run.
func (c *call) exec(args []string) (int, error) {
	const failed = 255 // runc's
	m := making{}
	flags := m.flags("exec")
	file := flags.StringP("process", "p", "", "")
	cwd := flags.String("cwd", "", "")
	env := flags.StringArrayP("env", "e", nil, "")
	id, argv, err := argument(flags, args)
	if err != nil {
		return failed, err
	}
	container, err := c.load(id)
	if err != nil {
		return failed, err
	}
	switch status, err := container.Status(); {
	case err != nil:
		return failed, err
	case status == libcontainer.Stopped || status == libcontainer.Paused:
		return failed, fmt.Errorf("cannot exec in a container that is %s", status)
	}
	spec, err := execSpec(container, *file, argv)
	if err != nil {
		return failed, err
	}
	if *cwd != "" {
		spec.Cwd = *cwd
	}
	spec.Env = append(spec.Env, *env...)
	process, err := newProcess(spec)
	if err != nil {
		return failed, err
	}
	if spec.Terminal != (m.console != "") {
		return failed, errors.New("process.terminal and --console-socket go together")
	}
	if err := launch(container, container.Run, process, m); err != nil {
		return failed, err
	}
	// Nothing holds it back before its command: one that is not confined has begun, and ends here.
	if err := verify(container, process); err != nil {
		return failed, err
	}
	if m.detach {
		return 0, nil
	}
	return wait(process)
}

// execSpec is the process of a file, or the container's own with another command.
func execSpec(container *libcontainer.Container, file string, argv []string) (*specs.Process, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read process: %w", err)
		}
		p := &specs.Process{}
		if err := json.Unmarshal(text, p); err != nil {
			return nil, fmt.Errorf("cannot read process: %q: %w", file, err)
		}
		return p, nil
	}
	config := container.Config()
	text, err := os.ReadFile(filepath.Join(label(config.Labels, "bundle"), "config.json"))
	if err != nil {
		return nil, fmt.Errorf("cannot read bundle: %w", err)
	}
	spec := specs.Spec{}
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, fmt.Errorf("cannot read bundle: config.json: %w", err)
	}
	if spec.Process == nil {
		return nil, errors.New("the configuration has no process")
	}
	spec.Process.Args, spec.Process.Terminal = argv, false
	return spec.Process, nil
}

// label is what libcontainer keeps under a name: annotations and the bundle as name=value.
func label(labels []string, name string) string {
	for _, l := range labels {
		if value, ok := strings.CutPrefix(l, name+"="); ok {
			return value
		}
	}
	return ""
}
