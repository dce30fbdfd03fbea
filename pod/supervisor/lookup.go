package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/runtime"
	"golang.org/x/sys/unix"
)

// lookUp says that the command of a process is not there, or is no program, before the runtime is asked: crun writes its
// own words of it to the command's stderr. It is sure or says nothing: everything else is for the runtime to find out.
func lookUp(run control.Run, p *specs.Process) error {
	if len(p.Args) == 0 || p.Args[0] == "" {
		return nil
	}
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", run.Run.PID), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(root)
	if start, err := keeper.StartTime(run.Run.PID); err != nil || start != run.Start {
		return nil // a reused pid
	}
	name := p.Args[0]
	paths := candidates(name, p)
	for _, path := range paths {
		why := executable(root, path)
		unfit := errors.Is(why, unix.EISDIR) || errors.Is(why, unix.EACCES)
		switch {
		case why == nil:
			return nil
		case errors.Is(why, unix.ENOENT), errors.Is(why, unix.ENOTDIR):
		case strings.Contains(name, "/") && unfit:
			return &runtime.CommandError{Code: 126, Message: fmt.Sprintf("exec: %q: %s", name, why)}
		case !unfit: // which $PATH goes on after, as execvp(3)
			return nil
		}
	}
	switch {
	case len(paths) == 0:
		return nil
	case strings.Contains(name, "/"):
		return &runtime.CommandError{Code: 127, Message: fmt.Sprintf("exec: %q: no such file or directory", name)}
	}
	return &runtime.CommandError{Code: 127, Message: fmt.Sprintf("exec: %q: executable file not found in $PATH", name)}
}

// candidates are the paths that a command's name may mean; none where that depends on who looks: /proc is another for
// each PID namespace, and /dev has links into it.
func candidates(name string, p *specs.Process) (paths []string) {
	dirs := []string{""}
	if !strings.Contains(name, "/") {
		dirs = nil
		for _, v := range p.Env {
			if path, ok := strings.CutPrefix(v, "PATH="); ok {
				dirs = strings.Split(path, ":")
			}
		}
	}
	for _, dir := range dirs {
		path := name
		if dir != "" {
			path = dir + "/" + name
		}
		if !strings.HasPrefix(path, "/") {
			path = p.Cwd + "/" + path
		}
		if strings.HasPrefix(path, "/proc/") || strings.HasPrefix(path, "/dev/") {
			return nil
		}
		paths = append(paths, path)
	}
	return paths
}

// executable says why a path below a root cannot be executed by anybody.
func executable(root int, path string) error {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	fd, err := unix.Openat2(root, path, &how)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return err
	case st.IsDir():
		return unix.EISDIR
	case st.Mode().Perm()&0o111 == 0:
		return unix.EACCES
	}
	return nil
}
