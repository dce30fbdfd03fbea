// Command pcompose runs Compose projects as pods.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/sirupsen/logrus"
	"go.podman.io/storage/pkg/reexec"

	"github.com/pcompose/pcompose/cmd/pcompose/cli"
	"github.com/pcompose/pcompose/engine"
	look "github.com/pcompose/pcompose/engine/machine"
	"github.com/pcompose/pcompose/engine/userns"
	_ "github.com/pcompose/pcompose/pod/runtime/builtin" // `pcompose runtime` ends there, before main
	"github.com/pcompose/pcompose/pod/sandbox"
	"github.com/pcompose/pcompose/pod/supervisor"
	"github.com/pcompose/pcompose/pod/usernet"
)

// What was built; the Makefile sets them.
var version, commit, date string

func main() { os.Exit(run()) }

// run is the program; it returns the exit code.
func run() int {
	if err := userns.Settle(); err != nil {
		fmt.Fprintln(os.Stderr, "pcompose:", err)
		return 1
	}
	// Unpacking a layer re-executes this program, by another argv[0].
	if reexec.Init() {
		return 0
	}
	if ran, err := process(os.Args[1:]); ran {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	// The image libraries log, to standard error, what they come across on the way; what went wrong they return.
	logrus.SetLevel(logrus.ErrorLevel)
	// Most commands live for milliseconds and a few megabytes, and collecting garbage would be a tenth of their time.
	debug.SetGCPercent(400)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	streams := cli.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Signals: signals, Default: func() { signal.Reset(syscall.SIGINT, syscall.SIGTERM) },
	}
	return cli.Run(context.Background(), os.Args, streams, os.Environ(), cli.Build{Version: version, Commit: commit, Date: date})
}

// process is one that this program starts of itself, where the arguments are those of one.
func process(args []string) (ran bool, err error) {
	if len(args) == 0 {
		return false, nil
	}
	switch rest := args[1:]; {
	case args[0] == engine.SupervisorCommand && len(rest) == 1:
		return true, supervisor.Main(rest[0])
	case args[0] == look.TryCommand && len(rest) == 0:
		return true, look.Attempt(os.Stdout)
	case args[0] == usernet.Command && len(rest) > 0:
		return true, usernet.Main(rest)
	case args[0] == sandbox.PortsCommand && len(rest) == 1:
		return true, sandbox.ServePorts()
	}
	return false, nil
}
