package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// streams are stdin, stdout and stderr of a runtime program; nil is /dev/null.
type streams [3]*os.File

// call is one run of the program, with a directory of its own.
type call struct {
	r   *Program
	dir string
	// bundle is that of a create.
	bundle string
}

func (r *Program) open() (*call, error) {
	dir, err := os.MkdirTemp(r.cfg.Scratch, "call-")
	if err != nil {
		return nil, err
	}
	return &call{r: r, dir: dir}, nil
}

func (c *call) path(name string) string { return filepath.Join(c.dir, name) }

func (c *call) close() { os.RemoveAll(c.dir) }

// command has the options that go before the verb. The log is a file because the container's stderr is the program's.
func (c *call) command(s streams, args []string) *exec.Cmd {
	cfg := c.r.cfg
	global := append(cfg.Before(), "--root", cfg.Root, "--log", c.path("log"), "--log-format", "json")
	switch {
	case cfg.Systemd:
		global = append(global, "--systemd-cgroup")
	case cfg.Kind == Crun && cfg.NoCgroups:
		global = append(global, "--cgroup-manager", "disabled")
	case cfg.Kind == Crun:
		global = append(global, "--cgroup-manager", "cgroupfs")
	}
	closeOnExec()
	cmd := exec.Command(cfg.Path, append(global, args...)...)
	if cfg.Kind == BuiltIn {
		cmd.Args[0] = "pcompose" // as ps(1) shows it, and the process that becomes a container
	}
	cmd.Env = cfg.Env
	// Only files, never an io.Reader or io.Writer: os/exec would make a pipe and wait for its end, which the
	// container's first process holds.
	for i, f := range s {
		if f == nil {
			continue
		}
		switch i {
		case 0:
			cmd.Stdin = f
		case 1:
			cmd.Stdout = f
		default:
			cmd.Stderr = f
		}
	}
	return cmd
}

// closeOnExec keeps what this process inherited from a runtime program and the container behind it: a directory of the
// host is a way out (CVE-2024-21626; crun before 1.14.1 hands it on). Files that Go opened are close-on-exec already, and
// those a program shall have are duplicated for it.
func closeOnExec() {
	if unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	files, _ := os.ReadDir("/proc/self/fd") // Linux before 5.11
	for _, f := range files {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

// run waits for the program and words its failure from its log. The program ends with its caller: one that a dead
// supervisor left behind would make or delete a container under the hands of the next.
func (c *call) run(ctx context.Context, s streams, args ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	cmd := c.command(s, args)
	// Parent means the thread that forked (PR_SET_PDEATHSIG(2const)): it must not end before the program does.
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // it may have ended by itself
	err := cmd.Wait()
	stop()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.explain(c.argv0(), err)
}

// argv0 is the command of a container to create, which crun leaves out of some complaints of it.
func (c *call) argv0() string {
	var spec specs.Spec
	text, err := os.ReadFile(filepath.Join(c.bundle, "config.json"))
	if c.bundle == "" || err != nil || json.Unmarshal(text, &spec) != nil || spec.Process == nil || len(spec.Process.Args) == 0 {
		return ""
	}
	return spec.Process.Args[0]
}

// explain is the program's own complaint, a *CommandError where it is about the command.
func (c *call) explain(argv0 string, err error) error {
	log, _ := os.ReadFile(c.path("log"))
	message := clean(complaint(log), argv0)
	if message == "" {
		return fmt.Errorf("%s: %w", filepath.Base(c.r.cfg.Path), err)
	}
	if command := commandError(message); command != nil {
		return command
	}
	return errors.New(message)
}

// Exec implements Runtime. The program stays while the command runs, as its parent.
func (r *Program) Exec(ctx context.Context, o ExecOptions) (*Process, error) {
	p, err := r.exec(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("cannot exec in container %q: %w", o.ID, err)
	}
	return p, nil
}

func (r *Program) exec(ctx context.Context, o ExecOptions) (_ *Process, err error) {
	if !r.known(o.ID) {
		return nil, ErrNotFound
	}
	c, err := r.open()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	text, err := json.Marshal(o.Process)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(c.path("process.json"), text, 0o600); err != nil {
		return nil, err
	}
	args := []string{"exec", "--process", c.path("process.json"), "--pid-file", c.path("pid"), o.ID}
	a := Attachment{PIDFile: c.path("pid"), Explain: func(code int) (int, error) { return c.verdict(o, code) }}
	if !o.Process.Terminal {
		return Attach(ctx, c.command(streams{o.Stdin, o.Stdout, o.Stderr}, args), a)
	}
	if c.r.cfg.Kind == Crun || c.r.cfg.Kind == BuiltIn {
		return c.execConsole(ctx, args, a)
	}
	return c.execRelayed(ctx, o, args, a)
}

// verdict tells a command's own exit code from the runtime's failure to run it: only the latter leaves a complaint.
func (c *call) verdict(o ExecOptions, code int) (int, error) {
	defer c.close()
	log, _ := os.ReadFile(c.path("log"))
	if code == 0 || complaint(log) == "" {
		return code, nil
	}
	argv0 := ""
	if len(o.Process.Args) > 0 {
		argv0 = o.Process.Args[0]
	}
	err := c.explain(argv0, nil)
	var command *CommandError
	if errors.As(err, &command) {
		return command.Code, command
	}
	return 126, fmt.Errorf("cannot exec in container %q: %w", o.ID, err)
}
