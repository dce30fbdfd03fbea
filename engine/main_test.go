package engine

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.podman.io/storage/pkg/reexec"

	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/supervisor"
)

const insideVar = "PCT_ENGINE_TEST_NETNS"

// TestMain makes the test binary what the program is to itself: unpacker of layers, supervisor. The tests run in a
// network namespace of their own.
func TestMain(m *testing.M) {
	switch {
	case reexec.Init():
		return
	case len(os.Args) == 3 && os.Args[1] == control.SupervisorCommand:
		if err := supervisor.Main(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	case os.Getuid() != 0 || os.Getenv(insideVar) != "":
		os.Exit(m.Run())
	}
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Env = append(os.Environ(), insideVar+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := again.Run(); err != nil {
		if again.ProcessState == nil {
			fmt.Fprintln(os.Stderr, "cannot make a network namespace for the tests:", err)
		}
		os.Exit(1)
	}
}
