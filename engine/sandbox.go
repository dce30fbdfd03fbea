package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/engine/userns"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/hub"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/runtime"
	"github.com/pcompose/pcompose/pod/sandbox"
	"go.podman.io/common/pkg/config"
	"golang.org/x/sys/unix"
)

// createSandbox starts the pod's keeper and supervisor, which make its namespaces, and binds its published ports.
// It returns when that is done: no container starts before every port is held.
func (p *Project) createSandbox(ctx context.Context, a planner.CreateSandbox, report func(execute.Progress)) error {
	if !p.client().up() {
		if err := startKeeper(ctx, p, a, report); err != nil {
			return fmt.Errorf("cannot start the pod's supervisor: %w", err)
		}
	}
	_, err := p.client().ask(ctx, control.Request{Publish: &control.Publish{Ports: a.Ports}})
	if err == nil {
		return nil
	}
	// A pod that cannot have its ports runs nothing: it goes as it came.
	if downErr := endPod(context.WithoutCancel(ctx), p); downErr != nil {
		err = errors.Join(err, downErr)
	}
	return err
}

// runtime is the OCI runtime's program: the one asked for, containers.conf's, or the first there is.
func (e *Engine) runtime() (path string, kind runtime.Kind, err error) {
	return findRuntime(e.cfg.Runtime)
}

// runtimeOf is the program that a container asks for with runtime:, "" where the pod's is meant.
func runtimeOf(c pod.Container) (path string, kind runtime.Kind, err error) {
	if c.Runtime == "" {
		return "", "", nil
	}
	if path, kind, err = findRuntime(c.Runtime); err != nil {
		err = fmt.Errorf("%w, in runtime: of service %q", err, c.Service)
	}
	return path, kind, err
}

// kindOf is the runtime that a container is started by, "" where there is none: who starts it says what is wrong.
func kindOf(e *Engine, c pod.Container) runtime.Kind {
	_, kind, err := e.runtime()
	if c.Runtime != "" {
		_, kind, err = runtimeOf(c)
	}
	if err != nil {
		return ""
	}
	return kind
}

func findRuntime(name string) (path string, kind runtime.Kind, err error) {
	conf, err := config.Default()
	if err != nil {
		return "", "", fmt.Errorf("cannot read containers.conf: %w", err)
	}
	return runtime.Find(runtime.Search{
		Name: name, PATH: os.Getenv("PATH"),
		Configured: conf.Engine.OCIRuntime, Paths: conf.Engine.OCIRuntimes,
	})
}

// startKeeper starts the pod's keeper. report takes what the pod must go without.
func startKeeper(ctx context.Context, p *Project, a planner.CreateSandbox, report func(execute.Progress)) error {
	program, kind, err := p.engine.runtime()
	if err != nil {
		return err
	}
	out, err := outlet(p.engine.cfg.NetworkCmd)
	if err != nil {
		return err
	}
	dir := p.runDir()
	if err := os.MkdirAll(filepath.Join(dir, "containers"), 0o700); err != nil {
		return err
	}
	made := control.Pod{
		Name: p.name, ID: p.engine.podID(p.name), Topology: a.Topology, Runtime: program, RuntimeKind: string(kind),
		LockFile: filepath.Join(p.engine.cfg.RunRoot, "addresses.lock"), Cgroup: p.engine.cgroup(p.name),
		Events: eventsFile(p.engine, p.name), Outlet: out, Hubs: hubsDir(p.engine),
	}
	if err := control.WritePod(dir, made); err != nil {
		return err
	}
	socket, err := control.Listen(dir)
	if err != nil {
		return err
	}
	defer socket.Close()
	mark, err := userns.Record()
	if err != nil {
		return err
	}
	_, err = keeper.Start(ctx, keeper.Config{
		Dir: dir, Supervisor: []string{"pcompose", control.SupervisorCommand, dir}, Socket: socket, Mark: mark,
		// Supervisors are told everything by file: the caller's environment, and its secrets, stay out.
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Admit: func(pid int) error {
			if !p.engine.delegation().systemd {
				return nil
			}
			err := putIntoScope(made.Cgroup, p.name, pid)
			if err == nil {
				return nil
			}
			report(execute.Progress{Warning: fmt.Sprintf("limits of containers are not applied: %v", err)})
			made.Cgroup = ""
			return control.WritePod(dir, made)
		},
	})
	return err
}

// hubsDir is where pods meet on shared networks.
func hubsDir(e *Engine) string { return filepath.Join(e.cfg.RunRoot, ".networks") }

// removeSandbox ends the pod and removes everything that was made for it but volumes and images. Containers have
// been removed before.
func (p *Project) removeSandbox(ctx context.Context) error {
	if err := endPod(ctx, p); err != nil {
		return err
	}
	return p.engine.state.Remove(p.name)
}

// endPod ends supervisor and keeper, and removes what they leave. It works on a pod whose processes were killed:
// everything has a name that follows from the project's.
func endPod(ctx context.Context, p *Project) error {
	pid, alive := keeper.Find(p.runDir())
	if alive {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("cannot watch the pod's end: %w", err)
		}
		if err == nil {
			defer unix.Close(fd)
		}
		if _, err := p.client().ask(ctx, control.Request{Shutdown: &struct{}{}}); err != nil && !errors.Is(err, errDown) {
			return err
		}
		if err == nil {
			waitProcess(ctx, fd)
		}
	}
	id := p.engine.podID(p.name)
	pd, err := control.ReadPod(p.runDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		pd.Outlet.Kind = pod.OutletPasta // for all that can be read: look for its process
	}
	err = errors.Join(sandbox.EndOutlet(p.runDir(), pd.Outlet), sandbox.Remove(id), hub.LeaveAll(hubsDir(p.engine), id), endCgroup(ctx, p.engine.cgroup(p.name)))
	if err != nil {
		return fmt.Errorf("cannot remove what is left of the pod: %w", err)
	}
	for _, name := range []string{"control.sock", "pod.json", "exits", "keeper.log"} {
		if rmErr := os.Remove(filepath.Join(p.runDir(), name)); !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}
	return err
}

// waitProcess returns when the process of a pidfd has ended, or ctx has.
func waitProcess(ctx context.Context, fd int) {
	for ctx.Err() == nil {
		// The timeout is for ctx alone: poll(2) cannot wait for both.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 200)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// deleteUnsupervised ends a container whose pod has no supervisor any more, and removes what the OCI runtime holds
// of it. Where the runtime cannot be asked, its cgroup tells what is left of it.
func deleteUnsupervised(ctx context.Context, p *Project, r state.Record) error {
	if err := deleteByRuntime(ctx, p, r.ID); err != nil {
		return err
	}
	return endCgroup(ctx, containerCgroup(p, r))
}

func deleteByRuntime(ctx context.Context, p *Project, id string) error {
	runDir := p.runDir()
	dir := state.RuntimeDir(runDir)
	if _, err := os.Stat(filepath.Join(dir, id)); err != nil {
		return nil
	}
	pd, err := control.ReadPod(runDir)
	if err != nil {
		return nil
	}
	if b, err := control.ReadBundle(p.engine.state.BundleDir(p.name, id)); err == nil && b.Runtime != "" {
		pd.Runtime, pd.RuntimeKind = b.Runtime, b.RuntimeKind
	}
	rt, err := runtime.New(runtime.Config{Path: pd.Runtime, Kind: runtime.Kind(pd.RuntimeKind), Root: dir, Scratch: filepath.Join(runDir, "calls"), NoCgroups: pd.Cgroup == ""})
	if err != nil {
		return err
	}
	return rt.Delete(ctx, id, true)
}
