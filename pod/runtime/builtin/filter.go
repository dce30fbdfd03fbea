//go:build cgo && seccomp

package builtin

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"go.podman.io/common/pkg/seccomp"
	"golang.org/x/sys/unix"

	driver "github.com/pcompose/pcompose/pod/runtime"
)

// To compile podman's default profile takes libseccomp 2.5 40 ms, more than all else that a container's start and each
// exec in it need. libcontainer does so every time and cannot be given a compiled filter. It can be given a name that no
// system call has: it says so, as a debug message, at the very moment at which it installs the filter, in the very thread,
// and goes on. So such a name carries a compiled filter, a hook of the log installs it, and what libcontainer then adds
// itself allows everything. That the filter is there is looked at before a created container is told of, and of an exec's
// process as soon as it runs.

// carrier begins the name.
const carrier = "pcompose-filter:"

// shorten has a specification carry its filter compiled, from FilterAnnotation or compiled here, and returns what was compiled
// here. Profiles that libcontainer does more for than BuildFilter, or that would not let it go on, stay as they are.
func shorten(spec *specs.Spec) (compiled []byte, err error) {
	given := spec.Annotations[driver.FilterAnnotation]
	delete(spec.Annotations, driver.FilterAnnotation)
	if spec.Linux == nil || spec.Linux.Seccomp == nil || filters("self") < 0 || !plainFilter(spec.Linux.Seccomp) {
		return nil, nil
	}
	if given == "" {
		if compiled, err = compile(spec.Linux.Seccomp); err != nil {
			return nil, err
		}
		given = base64.StdEncoding.EncodeToString(compiled)
	}
	spec.Linux.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		// libseccomp ends whoever calls by an architecture that it was not told of.
		Architectures: spec.Linux.Seccomp.Architectures,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{carrier + given}, Action: specs.ActErrno}},
	}
	return compiled, nil
}

// plainFilter says whether BuildFilter makes of a profile what libcontainer does: that answers ENOSYS where the profile
// does not, and knows flags and notifications. What libcontainer calls behind the filter must be allowed by it.
func plainFilter(s *specs.LinuxSeccomp) bool {
	if s.DefaultAction != specs.ActErrno || s.DefaultErrnoRet == nil || *s.DefaultErrnoRet != uint(unix.ENOSYS) || len(s.Flags) > 0 || s.ListenerPath != "" {
		return false
	}
	needed := []string{"prctl", "seccomp", "memfd_create", "pipe2", "mmap", "mprotect", "munmap", "brk", "futex", "read", "write", "lseek", "fstat", "close"}
	for _, call := range s.Syscalls {
		if call.Action == specs.ActNotify {
			return false
		}
		if call.Action == specs.ActAllow && len(call.Args) == 0 {
			needed = slices.DeleteFunc(needed, func(name string) bool { return slices.Contains(call.Names, name) })
		}
	}
	return len(needed) == 0
}

func compile(profile *specs.LinuxSeccomp) ([]byte, error) {
	filter, err := seccomp.BuildFilter(profile)
	if err != nil {
		return nil, fmt.Errorf("cannot compile system call filter: %w", err)
	}
	defer filter.Release()
	_ = filter.SetOptimize(2) // a tree, as libcontainer has it; an older library makes a list
	// No pipe: of a user with many of them a new one holds a page, less than a filter (pipe(7), pipe-user-pages-soft).
	fd, err := unix.MemfdCreate("filter", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	out := os.NewFile(uintptr(fd), "filter")
	defer out.Close()
	if err := filter.ExportBPF(out); err != nil {
		return nil, fmt.Errorf("cannot compile system call filter: %w", err)
	}
	return io.ReadAll(io.NewSectionReader(out, 0, math.MaxInt64))
}

// carries says whether a container's filter is a carried one; its processes must log what they come across.
func carries(c configs.Config) bool {
	return c.Seccomp != nil && slices.ContainsFunc(c.Seccomp.Syscalls, func(s *configs.Syscall) bool { return strings.HasPrefix(s.Name, carrier) })
}

// verifyFilter is an error unless a process has the filters of this one, a carried one, and libcontainer's.
func verifyFilter(container *libcontainer.Container, pid int) error {
	if !carries(container.Config()) {
		return nil
	}
	if n, own := filters(strconv.Itoa(pid)), filters("self"); n != own+2 {
		return fmt.Errorf("the process has %d system call filters, not %d", n, own+2)
	}
	return nil
}

// filters is how many a process has (proc_pid_status(5), Seccomp_filters), -1 before Linux 5.9.
func filters(process string) int {
	status, _ := os.ReadFile("/proc/" + process + "/status")
	_, rest, ok := bytes.Cut(status, []byte("\nSeccomp_filters:"))
	word, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.Atoi(strings.TrimSpace(string(word)))
	if !ok || err != nil {
		return -1
	}
	return n
}

// installer is the hook of the log in the process that becomes the container's, or an exec's.
type installer struct{}

// Levels implements logrus.Hook.
func (installer) Levels() []logrus.Level { return []logrus.Level{logrus.DebugLevel} }

// Fire implements logrus.Hook. It panics where the filter cannot be installed, which libcontainer reports; a returned error
// would only be printed.
func (installer) Fire(e *logrus.Entry) error {
	_, rest, ok := strings.Cut(e.Message, carrier)
	if !ok {
		return nil
	}
	encoded, _, _ := strings.Cut(rest, `"`)
	e.Message = "system call filter installed"
	program, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil {
		err = install(program)
	}
	if err != nil {
		panic(fmt.Errorf("cannot install system call filter: %w", err))
	}
	return nil
}

// install makes a filter that of the calling thread, which is the one that becomes the command (prctl(2), PR_SET_SECCOMP).
func install(program []byte) error {
	const size = int(unsafe.Sizeof(unix.SockFilter{}))
	if len(program) == 0 || len(program)%size != 0 {
		return errors.New("it is no program")
	}
	instructions := unsafe.Slice((*unix.SockFilter)(unsafe.Pointer(&program[0])), len(program)/size)
	prog := unix.SockFprog{Len: uint16(len(instructions)), Filter: &instructions[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
	runtime.KeepAlive(program)
	return err
}

func installFilters() { logrus.AddHook(installer{}) }
