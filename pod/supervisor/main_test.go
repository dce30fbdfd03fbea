package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const insideVar = "PCT_SUPERVISOR_TEST_NETNS"

// TestMain makes the test binary whatever a pod needs of it: the supervisor when its keeper runs it as one, the OCI
// runtime when the supervisor does. The tests themselves run in a network namespace of their own: this machine's links
// and rules stay as they are.
func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) == "pct-supervisor":
		if err := Main(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	case filepath.Base(os.Args[0]) == "pct-runtime":
		syscall.Exit(runtimeProgram(os.Args[1:])) // os.Exit sleeps for a second under the race detector
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
