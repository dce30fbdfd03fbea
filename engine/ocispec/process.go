package ocispec

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pcompose/pcompose/pod"
)

const (
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// initTarget is in /dev, a tmpfs of the container: in the root file system it would leave an empty file.
	initTarget = "/dev/init"
)

func (b *builder) process() error {
	args, err := args(b.in)
	if err != nil {
		return err
	}
	env, err := b.env()
	if err != nil {
		return err
	}
	cwd, err := workingDir(b.c.WorkingDir, b.in.Image.WorkingDir)
	if err != nil {
		return err
	}
	caps, err := b.capabilities()
	if err != nil {
		return err
	}
	limits, err := b.rlimits()
	if err != nil {
		return err
	}
	user, err := b.in.identities().user(b.in.User, b.c.Umask)
	if err != nil {
		return err
	}
	if len(user.AdditionalGids) < len(b.in.User.Groups) && len(b.c.Groups) > 0 {
		b.warn("group_add: not applied, since not all of these groups are in its user namespace")
	}
	b.spec.Process = &specs.Process{
		Terminal: b.c.TTY, User: user, Args: args, Env: env, Cwd: cwd,
		Capabilities: caps, Rlimits: limits, NoNewPrivileges: b.c.Isolation.NoNewPrivileges,
		OOMScoreAdj: ptr(b.oomScoreAdj()),
	}
	return nil
}

// Args are entrypoint and command. An entrypoint in the file, even an empty one, drops the image's command, which was
// meant for the image's entrypoint.
func Args(c pod.Container, image ImageConfig) []string {
	entrypoint, command := c.Entrypoint, c.Command
	if command == nil && entrypoint == nil {
		command = image.Cmd
	}
	if entrypoint == nil {
		entrypoint = image.Entrypoint
	}
	return slices.Concat(entrypoint, command)
}

func args(in *Input) ([]string, error) {
	args := Args(in.Container, in.Image)
	if len(args) == 0 || args[0] == "" {
		return nil, errors.New("nothing to run: neither the service nor its image has a command")
	}
	for _, a := range args {
		if strings.ContainsRune(a, 0) {
			return nil, fmt.Errorf("argument %q of the command has a NUL", a)
		}
	}
	if in.Container.Init {
		if in.InitPath == "" {
			return nil, errors.New("init is asked for and no init program is installed (apt install catatonit, or tini)")
		}
		args = append([]string{initTarget, "--"}, args...)
	}
	return args, nil
}

// environment keeps the order in which names first came; a later value takes the place of the earlier.
type environment struct {
	list []string
	at   map[string]int
}

func (e *environment) set(name, value string) {
	if i, ok := e.at[name]; ok {
		e.list[i] = name + "=" + value
		return
	}
	if e.at == nil {
		e.at = map[string]int{}
	}
	e.at[name] = len(e.list)
	e.list = append(e.list, name+"="+value)
}

func (e *environment) has(name string) bool {
	_, ok := e.at[name]
	return ok
}

// env is, each over the one before: our defaults, the image's, the service's. An image entry without "=" names a variable
// of the host in some engines (CVE-2026-57231); here it is nothing.
func (b *builder) env() ([]string, error) {
	var e environment
	e.set("PATH", defaultPath)
	e.set("HOSTNAME", hostname(b.c))
	if b.c.TTY {
		e.set("TERM", "xterm")
	}
	for _, entry := range b.in.Image.Env {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" && !strings.ContainsRune(entry, 0) {
			e.set(name, value)
		}
	}
	names := make([]string, 0, len(b.c.Env))
	for name := range b.c.Env {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := b.c.Env[name]
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("environment variable %q: bad name, or a NUL in its value", name)
		}
		e.set(name, value)
	}
	if !e.has("HOME") {
		e.set("HOME", home(b.in.User))
	}
	return e.list, nil
}

func home(u User) string {
	if u.Home == "" {
		return "/"
	}
	return u.Home
}

// workingDir is the first that is not "", cleaned. One below /proc is refused: /proc/self/fd/N has led runtimes to the
// host's files (CVE-2024-21626).
func workingDir(candidates ...string) (string, error) {
	for _, dir := range candidates {
		if dir == "" {
			continue
		}
		dir = path.Join("/", dir)
		if strings.ContainsRune(dir, 0) || strings.HasPrefix(dir, "/proc/") {
			return "", fmt.Errorf("working directory %q is not allowed", dir)
		}
		return dir, nil
	}
	return "/", nil
}

// Exec is a further process asked for in a running container.
type Exec struct {
	Argv []string
	// Env are NAME=VALUE over the container's.
	Env []string
	// User nil is the container's.
	User *User
	// WorkingDir "" is the container's.
	WorkingDir string
	TTY        bool
	// Rows and Columns are the terminal's first size; 0 leaves it.
	Rows, Columns uint
	// Privileged gives every capability this host can give.
	Privileged bool
}

// Process is the process of an exec as docker means it: the container's own process with another command. Isolation is
// the container's; only Privileged widens it, and another user narrows it.
func Process(container *specs.Spec, x Exec, h Host) (*specs.Process, error) {
	base := container.Process
	if len(x.Argv) == 0 || x.Argv[0] == "" {
		return nil, errors.New("cannot exec: nothing to run")
	}
	var e environment
	for _, entry := range slices.Concat(base.Env, x.Env) {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || name == "" || strings.ContainsRune(entry, 0) {
			return nil, fmt.Errorf("cannot exec: environment entry %q is not NAME=VALUE", entry)
		}
		e.set(name, value)
	}
	if x.TTY && !e.has("TERM") {
		e.set("TERM", "xterm")
	}
	cwd, err := workingDir(x.WorkingDir, base.Cwd)
	if err != nil {
		return nil, fmt.Errorf("cannot exec: %w", err)
	}
	p := *base
	p.Terminal, p.Args, p.Cwd = x.TTY, slices.Clone(x.Argv), cwd
	if x.User != nil && x.User.UID != base.User.UID {
		if !slices.ContainsFunc(x.Env, func(s string) bool { return strings.HasPrefix(s, "HOME=") }) {
			e.set("HOME", home(*x.User))
		}
	}
	if x.User != nil {
		if p.User, err = (identities{container.Linux.UIDMappings, container.Linux.GIDMappings, h}).user(*x.User, base.User.Umask); err != nil {
			return nil, fmt.Errorf("cannot exec: %w", err)
		}
	}
	p.Env = e.list
	if x.Rows > 0 && x.Columns > 0 {
		p.ConsoleSize = &specs.Box{Height: x.Rows, Width: x.Columns}
	}
	p.Capabilities = execCapabilities(base, p.User.UID, x.Privileged, h)
	if x.Privileged {
		p.ApparmorProfile = ""
	}
	return &p, nil
}
