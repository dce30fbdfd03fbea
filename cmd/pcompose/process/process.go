// Package process is where the program goes on that was started as one of its own helpers: a pod's supervisor, and the
// processes of its network.
package process

import (
	"fmt"
	"os"

	"github.com/pcompose/pcompose/engine/userns"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/sandbox"
	"github.com/pcompose/pcompose/pod/supervisor"
	"github.com/pcompose/pcompose/pod/usernet"
)

// init is where such a program ends. Go initializes packages in the order of their dependencies and names
// (go.dev/ref/spec, package initialization): those that only commands need, and that helpers would spend half of their
// start and a megabyte on, come after this one. TestHelpersStartEarly keeps it so.
func init() { //nolint:gochecknoinits // see above: it is the entry of programs, not a set-up
	run := helper(os.Args)
	if run == nil {
		return
	}
	// Not on this goroutine: until all packages are initialized it is bound to one thread, and a loop would be slow there.
	ended := make(chan error)
	go func() {
		err := userns.Settle()
		if err == nil {
			err = run()
		}
		ended <- err
	}()
	if err := <-ended; err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// helper is the helper that the arguments name, or nil.
func helper(argv []string) func() error {
	if len(argv) < 3 {
		return nil
	}
	switch rest := argv[2:]; {
	case argv[1] == control.SupervisorCommand && len(rest) == 1:
		return func() error { return supervisor.Main(rest[0]) }
	case argv[1] == usernet.Command:
		return func() error { return usernet.Main(rest) }
	case argv[1] == sandbox.PortsCommand && len(rest) == 1:
		return sandbox.ServePorts
	}
	return nil
}
