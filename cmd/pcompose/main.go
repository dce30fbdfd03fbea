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
	_ "github.com/pcompose/pcompose/cmd/pcompose/process" // a supervisor, say, ends there, before main
	look "github.com/pcompose/pcompose/engine/machine"
	"github.com/pcompose/pcompose/engine/userns"
	_ "github.com/pcompose/pcompose/pod/runtime/builtin" // `pcompose runtime` ends there, before main
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
	if len(os.Args) == 2 && os.Args[1] == look.TryCommand {
		if err := look.Attempt(os.Stdout); err != nil {
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
