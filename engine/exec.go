package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/engine/ocispec"
	"github.com/pcompose/pcompose/engine/rootfs"
	"github.com/pcompose/pcompose/pod/control"
	"golang.org/x/term"
)

// ExecOptions say what to run in a container, and with which files.
type ExecOptions struct {
	Argv []string
	Env  map[string]string
	// User "" is the container's; WorkingDir "" too.
	User, WorkingDir string
	// TTY gives the process a terminal, which this process's terminal shows; it is in raw mode meanwhile.
	TTY bool
	// Detach returns when the process runs.
	Detach     bool
	Privileged bool
	// Stdin, Stdout and Stderr are handed to the process itself, unless it has a terminal.
	Stdin, Stdout, Stderr *os.File
}

// Exec runs a process in a running container and returns its exit code.
func (p *Project) Exec(ctx context.Context, container string, opt ExecOptions) (int, error) {
	r, err := p.record(container)
	if err != nil {
		return 0, err
	}
	process, err := execProcess(p.bundle(r), opt)
	if errors.Is(err, rootfs.ErrNoUser) {
		return 126, err // a command that cannot be run, as docker has it
	}
	if err != nil {
		return 0, err
	}
	if !p.client().up() {
		return 0, fmt.Errorf("cannot run a command in container %q: it is not running", container)
	}
	conn, err := control.Dial(ctx, p.runDir())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := conn.CloseOn(ctx)
	defer stop()
	files, done, err := execFiles(opt)
	if err != nil {
		return 0, err
	}
	req := control.Request{Exec: &control.Exec{ID: r.ID, Process: process, TTY: opt.TTY}}
	err = conn.Send(req, files...)
	done()
	if err != nil {
		return 0, fmt.Errorf("cannot run a command in container %q: %w", container, err)
	}
	return followExec(conn, opt)
}

func followExec(conn *control.Conn, opt ExecOptions) (int, error) {
	var begun control.Reply
	console, err := conn.Receive(&begun)
	if err == nil && begun.Error != "" {
		return begun.ExitCode, errors.New(begun.Error) // as at its end, below
	}
	if err != nil || opt.Detach {
		return 0, err
	}
	var shown *screen
	if len(console) == 1 {
		if shown, err = openScreen(console[0], opt); err != nil {
			return 0, err
		}
	}
	var ended control.Reply
	_, err = conn.Receive(&ended)
	if shown != nil {
		shown.close()
	}
	switch {
	case lost(err):
		return 0, errors.New("the supervisor ended in the middle of the command: its exit code is unknown")
	case err != nil:
		return 0, err
	case ended.Error != "":
		// A command that could not be run has an exit code, 126 or 127, beside its message.
		return ended.ExitCode, errors.New(ended.Error)
	}
	return ended.ExitCode, nil
}

// execFiles are the three files of the process; nil ones are /dev/null.
func execFiles(opt ExecOptions) (files []*os.File, done func(), err error) {
	if opt.TTY {
		return nil, func() {}, nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range []*os.File{opt.Stdin, opt.Stdout, opt.Stderr} {
		if f == nil || opt.Detach {
			f = null
		}
		files = append(files, f)
	}
	return files, func() { null.Close() }, nil
}

// execProcess is the process to run, from the container's own.
func execProcess(of *bundle, opt ExecOptions) ([]byte, error) {
	h, err := of.project.engine.host()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(of.dir, "config.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot run a command in container %q: it is not running", of.record.Container.Name)
	}
	var spec specs.Spec
	if err == nil {
		err = json.Unmarshal(b, &spec)
	}
	if err != nil {
		return nil, err
	}
	x := ocispec.Exec{Argv: opt.Argv, WorkingDir: opt.WorkingDir, TTY: opt.TTY, Privileged: opt.Privileged}
	for _, name := range slices.Sorted(maps.Keys(opt.Env)) {
		x.Env = append(x.Env, name+"="+opt.Env[name])
	}
	if opt.User != "" {
		id, err := rootfs.User(spec.Root.Path, opt.User, nil)
		if err != nil {
			return nil, err
		}
		x.User = &ocispec.User{UID: uint32(id.UID), GID: uint32(id.GID), Home: id.Home}
		for _, g := range id.Groups {
			x.User.Groups = append(x.User.Groups, uint32(g))
		}
	}
	if opt.TTY && opt.Stdin != nil {
		if columns, rows, err := term.GetSize(int(opt.Stdin.Fd())); err == nil {
			x.Rows, x.Columns = uint(rows), uint(columns)
		}
	}
	process, err := ocispec.Process(&spec, x, h.Host)
	if err != nil {
		return nil, err
	}
	return json.Marshal(process)
}
