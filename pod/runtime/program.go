package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config says which program, and where it works.
type Config struct {
	// Path of the program and Kind, as Find has them; Args go before all others (a program with subcommands).
	Path string
	Kind Kind
	Args []string
	// Root is the directory of the runtime's own state, on a tmpfs: it must not outlive a reboot. Made if missing.
	Root string
	// Scratch holds a directory for each call at work (log, console socket, process.json). Keep its path short, see
	// unix(7), and remove it with the pod: a killed caller leaves its call's directory there. Made if missing.
	Scratch string
	// Systemd selects the systemd cgroup driver; else cgroupfs.
	Systemd bool
	// NoCgroups leaves containers in the caller's cgroup: this user can make none.
	NoCgroups bool
	// Begin, where not nil, is the runtime's start for the first process of a container; else the program does it.
	Begin func(root, id string) error
	// Env is the program's whole environment; nil is a PATH of the system directories.
	Env []string
}

// Before are the arguments that go before runc's own.
func (c Config) Before() []string {
	if c.Kind == BuiltIn {
		return append([]string{BuiltInCommand}, c.Args...)
	}
	return slices.Clone(c.Args)
}

// Program is a Runtime that runs a program for each operation, except a start where it knows better (see release); nothing stays.
type Program struct {
	cfg Config
	// creating holds the ids of creates at work: runc 1.1, run twice at once for one id, lets the loser remove the
	// winner's state.
	creating sync.Map
}

var _ Runtime = (*Program)(nil)

// New is a runtime over a program; it makes the two directories, 0700.
func New(cfg Config) (*Program, error) {
	for _, dir := range []string{cfg.Root, cfg.Scratch} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("cannot make directory of runtime %q: %w", cfg.Path, err)
		}
	}
	if cfg.Env == nil {
		cfg.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	}
	return &Program{cfg: cfg}, nil
}

// Create implements Runtime.
func (r *Program) Create(ctx context.Context, o CreateOptions) (Created, error) {
	made, err := r.create(ctx, o)
	if err != nil {
		return Created{}, fmt.Errorf("cannot create container %q: %w", o.ID, err)
	}
	return made, nil
}

func (r *Program) create(ctx context.Context, o CreateOptions) (Created, error) {
	if _, busy := r.creating.LoadOrStore(o.ID, true); busy {
		return Created{}, ErrExists
	}
	defer r.creating.Delete(o.ID)
	if r.known(o.ID) {
		return Created{}, ErrExists
	}
	c, err := r.open()
	if err != nil {
		return Created{}, err
	}
	defer c.close()
	c.bundle = o.Bundle
	args := []string{"create", "--bundle", o.Bundle, "--pid-file", c.path("pid")}
	streams := streams{o.Stdin, o.Stdout, o.Stderr}
	var console *net.UnixListener
	if o.TTY {
		if console, err = consoleSocket(c.path("tty")); err != nil {
			return Created{}, err
		}
		defer console.Close()
		args = append(args, "--console-socket", c.path("tty"))
		streams = [3]*os.File{}
	}
	if err := c.run(ctx, streams, append(args, o.ID)...); err != nil {
		return Created{}, err
	}
	r.keepFilter(o.ID, o.Filter)
	made := Created{}
	if made.PID, err = c.pid(o.PIDFile); err == nil && console != nil {
		// The runtime has sent it before it exited: the deadline is for one that never did.
		made.Console, err = receiveConsole(console, time.Now().Add(time.Second))
	}
	return made, err
}

// pid reads what the runtime wrote and keeps it in the caller's file. The runtime does not write there itself: runc's
// temporary file ".pid" outlives a killed create and makes every later one beside it fail.
func (c *call) pid(keep string) (int, error) {
	text, err := os.ReadFile(c.path("pid"))
	if err != nil {
		return 0, err
	}
	if keep != "" {
		if err := os.WriteFile(keep+".new", text, 0o600); err != nil {
			return 0, err
		}
		if err := os.Rename(keep+".new", keep); err != nil {
			return 0, err
		}
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// Start implements Runtime.
func (r *Program) Start(ctx context.Context, id string) error {
	if err := r.start(ctx, id); err != nil {
		return fmt.Errorf("cannot start container %q: %w", id, err)
	}
	return nil
}

func (r *Program) start(ctx context.Context, id string) error {
	switch err := ctx.Err(); {
	case err != nil:
		return err
	case !r.known(id):
		return ErrNotFound
	case r.cfg.Begin != nil:
		return r.cfg.Begin(r.cfg.Root, id)
	case r.cfg.Kind == Crun:
		if done, err := r.release(id); done || err != nil {
			return err
		}
	}
	_, err := r.output(ctx, "start", id)
	return err
}

// Pause implements Runtime.
func (r *Program) Pause(ctx context.Context, id string) error {
	return r.simple(ctx, "pause", id)
}

// Resume implements Runtime.
func (r *Program) Resume(ctx context.Context, id string) error {
	return r.simple(ctx, "resume", id)
}

// Kill implements Runtime.
func (r *Program) Kill(ctx context.Context, id string, sig unix.Signal, all bool) error {
	args := []string{id, strconv.Itoa(int(sig))}
	if all {
		args = append([]string{"--all"}, args...)
	}
	err := r.simple(ctx, "kill", args...)
	if err == nil || errors.Is(err, ErrNotFound) || ctx.Err() != nil {
		return err
	}
	// The runtimes word it each in their way; the state says it in one.
	if st, e := r.State(ctx, id); e == nil && st.Status == Stopped {
		return fmt.Errorf("cannot kill container %q: %w", id, ErrNotRunning)
	}
	return err
}

// Delete implements Runtime.
func (r *Program) Delete(ctx context.Context, id string, force bool) error {
	args := []string{id}
	if force {
		args = []string{"--force", id}
	}
	if err := r.uncover(id); err != nil {
		return fmt.Errorf("cannot delete container %q: %w", id, err)
	}
	err := r.simple(ctx, "delete", args...)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil && force && ctx.Err() == nil && r.torn(ctx, id) {
		if e := os.RemoveAll(filepath.Join(r.cfg.Root, id)); e == nil {
			return nil
		}
	}
	return err
}

// uncover takes away the mounts that killed processes of runc before 1.2 have left in a container's directory, which could not be
// removed with them: each mounts its own binary there for a moment, to have a copy that cannot be written to (CVE-2019-5736).
func (r *Program) uncover(id string) error {
	left, err := filepath.Glob(filepath.Join(r.cfg.Root, id, "runc.*"))
	for _, path := range left {
		if e := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); !errors.Is(e, unix.EINVAL) && !errors.Is(e, unix.ENOENT) { // no mount any more
			err = errors.Join(err, e)
		}
	}
	return err
}

// torn says whether a container is only the directory that a killed create left, which no runtime command accepts.
func (r *Program) torn(ctx context.Context, id string) bool {
	for _, file := range []string{"state.json", "status"} {
		if st, err := os.Stat(filepath.Join(r.cfg.Root, id, file)); err == nil && st.Size() > 0 {
			return false
		}
	}
	_, err := r.State(ctx, id)
	return err != nil
}

// State implements Runtime.
func (r *Program) State(ctx context.Context, id string) (State, error) {
	var st State
	out, err := r.output(ctx, "state", id)
	if err == nil {
		err = json.Unmarshal(out, &st)
	}
	if err != nil {
		return State{}, fmt.Errorf("cannot read state of container %q: %w", id, err)
	}
	if st.Status == Stopped {
		st.PID = 0
	}
	return st, nil
}

// simple runs an operation that says nothing but whether it worked; the container is the first argument after options.
func (r *Program) simple(ctx context.Context, verb string, args ...string) error {
	_, err := r.output(ctx, verb, args...)
	if err != nil {
		return fmt.Errorf("cannot %s container %q: %w", verb, idOf(args), err)
	}
	return nil
}

func idOf(args []string) string {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			return a
		}
	}
	return ""
}

func (r *Program) output(ctx context.Context, verb string, args ...string) ([]byte, error) {
	if !r.known(idOf(args)) {
		return nil, ErrNotFound
	}
	c, err := r.open()
	if err != nil {
		return nil, err
	}
	defer c.close()
	out, err := os.OpenFile(c.path("out"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if err := c.run(ctx, streams{nil, out, nil}, append([]string{verb}, args...)...); err != nil {
		// Gone while we asked: another deleted it.
		if ctx.Err() == nil && !r.known(idOf(args)) {
			return nil, ErrNotFound
		}
		return nil, err
	}
	text, err := os.ReadFile(c.path("out"))
	return bytes.TrimSpace(text), err
}

// known looks for the container's state directory, which every runtime names after the id: cheaper and surer than
// their messages.
func (r *Program) known(id string) bool {
	_, err := os.Lstat(filepath.Join(r.cfg.Root, id))
	return id != "" && err == nil
}
