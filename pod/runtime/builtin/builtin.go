//go:build cgo

// Package builtin is the OCI runtime that pcompose brings along: runc's command line over libcontainer, run by the same
// binary as `pcompose runtime`, so that a machine without crun and runc can run containers.
//
// It is a program for the drivers of pod/runtime and buildah, and does what they ask of it: runc's checkpoint, restore
// and spec are left out, and it relays no terminal (--console-socket hands it over).
package builtin

import (
	"fmt"
	"io"
	"os"

	_ "github.com/opencontainers/cgroups/devices" // the rules for devices register themselves
	"github.com/opencontainers/runc/libcontainer"
	_ "github.com/opencontainers/runc/libcontainer/nsenter" // a C constructor: namespaces are entered before Go has threads
	"github.com/opencontainers/runc/libcontainer/seccomp"
	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"

	"github.com/pcompose/pcompose/pod/runtime"
)

// Seccomp says whether this binary can filter system calls: it is linked with libseccomp only by the build tag seccomp.
// Without it a container with a filter is refused.
const Seccomp = seccomp.Enabled

// init is where the program ends that was started as the runtime, or as the process that becomes a container. Go
// initializes packages in the order of their dependencies and names (go.dev/ref/spec, package initialization): before
// main, most of the binary's packages would take 10 ms of each of the three processes that a container's start needs.
func init() { //nolint:gochecknoinits // see above: it is the entry of a program, not a set-up
	switch {
	case len(os.Args) < 2:
	case os.Args[1] == "init" && os.Getenv("_LIBCONTAINER_INITPIPE") != "":
		installFilters()
		libcontainer.Init() // does not return
	case os.Args[1] == runtime.BuiltInCommand:
		os.Exit(run(os.Args[2:], os.Stdout))
	}
}

// call is one run of the program.
type call struct {
	out     io.Writer
	root    string
	systemd bool
	// rootless ignores that cgroups cannot be set: "true", "false", or "auto" for the user namespace to tell.
	rootless string
	// log is where errors go instead of stderr.
	log, logFormat string
}

// run does one command; it returns the exit code.
func run(args []string, out io.Writer) int {
	c := call{out: out}
	code, err := c.dispatch(args)
	if err == nil {
		return code
	}
	// Only once: stderr may be the container's own.
	if c.log != "" {
		logrus.Error(err)
	} else {
		fmt.Fprintln(os.Stderr, "pcompose "+runtime.BuiltInCommand+":", err)
	}
	return max(code, 1)
}

func (c *call) dispatch(args []string) (int, error) {
	flags := newFlags("")
	flags.StringVar(&c.root, "root", "/run/pcompose-runtime", "")
	flags.BoolVar(&c.systemd, "systemd-cgroup", false, "")
	flags.StringVar(&c.rootless, "rootless", "auto", "")
	flags.StringVar(&c.log, "log", "", "")
	flags.StringVar(&c.logFormat, "log-format", "text", "")
	debug := flags.Bool("debug", false, "")
	about := flags.BoolP("version", "v", false, "")
	if err := flags.Parse(args); err != nil {
		return 1, err
	}
	if err := c.openLog(*debug); err != nil {
		return 1, err
	}
	if *about {
		return 0, version(c.out)
	}
	if flags.NArg() == 0 {
		return 1, fmt.Errorf("no command is given; it is run by pcompose itself")
	}
	verbs := map[string]func(args []string) (int, error){
		"create": c.create, "run": c.runContainer, "start": plain(c.start), "exec": c.exec,
		"state": plain(c.state), "list": plain(c.list), "ps": plain(c.ps), "events": plain(c.events), "features": plain(func(args []string) error { return features(c.out, args) }),
		"kill": plain(c.kill), "delete": plain(c.delete), "pause": plain(c.bare("pause", (*libcontainer.Container).Pause)),
		"resume": plain(c.bare("resume", (*libcontainer.Container).Resume)), "update": plain(c.update),
	}
	verb, ok := verbs[flags.Arg(0)]
	if !ok {
		return 1, fmt.Errorf("unknown command %q", flags.Arg(0))
	}
	return verb(flags.Args()[1:])
}

// plain is a command without an exit code of its own.
func plain(do func(args []string) error) func(args []string) (int, error) {
	return func(args []string) (int, error) {
		if err := do(args); err != nil {
			return 1, err
		}
		return 0, nil
	}
}

// newFlags reads options up to the first argument: what follows may be options of a container's command.
func newFlags(name string) *pflag.FlagSet {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.SetInterspersed(false)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// argument parses a command's options and gives its container, and what follows it.
func argument(flags *pflag.FlagSet, args []string) (id string, rest []string, err error) {
	if err := flags.Parse(args); err != nil {
		return "", nil, fmt.Errorf("%s: %w", flags.Name(), err)
	}
	if flags.NArg() == 0 || flags.Arg(0) == "" {
		return "", nil, fmt.Errorf("%s: no container is named", flags.Name())
	}
	return flags.Arg(0), flags.Args()[1:], nil
}

func (c *call) openLog(debug bool) error {
	logrus.SetLevel(logrus.WarnLevel)
	if debug {
		logrus.SetLevel(logrus.DebugLevel)
	}
	switch c.logFormat {
	case "json":
		logrus.SetFormatter(&logrus.JSONFormatter{})
	case "text":
	default:
		return fmt.Errorf("unknown log format %q", c.logFormat)
	}
	if c.log == "" {
		return nil
	}
	f, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open log: %w", err)
	}
	logrus.SetOutput(f)
	return nil
}

// Start lets the first process of a created container run its command, as the command start does: what there is to do
// needs no process of its own.
func Start(root, id string) error {
	container, err := libcontainer.Load(root, id)
	if err != nil {
		return err
	}
	status, err := container.Status()
	if err != nil {
		return err
	}
	if status != libcontainer.Created {
		return fmt.Errorf("cannot start a container that is %s", status)
	}
	return container.Exec()
}

// load finds a container in the state directory.
func (c *call) load(id string) (*libcontainer.Container, error) {
	return libcontainer.Load(c.root, id)
}
