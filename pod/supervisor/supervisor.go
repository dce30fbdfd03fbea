// Package supervisor is the process that is a pod: it starts containers, reaps, restarts, probes and logs, and
// answers on the pod's socket.
//
// Everything that containers have in common with each other runs in one goroutine, the loop: others send it
// functions. Slow work (the OCI runtime, probes, log pumps) runs beside it and reports back.
//
// It may be killed at any moment. The keeper holds its files, reaps in its absence and starts the next one,
// which adopts what it finds: see adopt.go.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"time"

	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/runtime"
	"github.com/pcompose/pcompose/pod/runtime/builtin"
)

// Supervisor is one pod's.
type Supervisor struct {
	dir     string
	keeper  *keeper.Client
	runtime runtime.Runtime
	network *network
	journal journal

	// mail is what the loop runs; the fields below are the loop's alone.
	mail       chan func()
	containers map[string]*container
	watchers   map[*watcher]struct{}
	// attendant is nil where no program watches files.
	attendant *attendant
	// strays are exits of processes that no container has claimed yet: one whose start is not reported.
	strays map[int]keeper.Exit
	// forgotten are the IDs of containers that are removed; an ID is never used again.
	forgotten map[string]bool
}

// Main is the supervisor's process: `pcompose supervisor DIR`, started by the keeper.
func Main(dir string) error {
	// A supervisor rests nearly all its life: a small heap, and the caches of few processors, are worth more than speed.
	debug.SetGCPercent(50)
	goruntime.GOMAXPROCS(min(goruntime.GOMAXPROCS(0), 4))
	s, err := open(dir)
	if err != nil {
		return fmt.Errorf("cannot supervise %q: %w", dir, err)
	}
	return s.run(context.Background())
}

func open(dir string) (*Supervisor, error) {
	p, err := control.ReadPod(dir)
	if err != nil {
		return nil, err
	}
	k, err := keeper.Connect()
	if err != nil {
		return nil, err
	}
	rt, err := runtime.New(programOf(dir, p, p.Runtime, p.RuntimeKind))
	if err != nil {
		return nil, err
	}
	return &Supervisor{
		dir: dir, keeper: k, runtime: rt, network: &network{dir: dir, pod: p, keeper: k, warn: warn}, journal: journal{p.Events},
		mail: make(chan func()), containers: map[string]*container{}, watchers: map[*watcher]struct{}{},
		strays: map[int]keeper.Exit{}, forgotten: map[string]bool{},
	}, nil
}

// programOf is a runtime of the pod. All of a pod keep their state in one place, each container's below its ID.
func programOf(dir string, p control.Pod, path, kind string) runtime.Config {
	cfg := runtime.Config{NoCgroups: p.Cgroup == "", Path: path, Kind: runtime.Kind(kind), Root: filepath.Join(dir, "runtime"), Scratch: filepath.Join(dir, "calls")}
	if cfg.Kind == runtime.BuiltIn {
		cfg.Begin = builtin.Start
	}
	return cfg
}

// runtimeOf is the runtime of a container: the pod's, or the one it names.
func runtimeOf(s *Supervisor, b control.Bundle) runtime.Runtime {
	if b.Runtime == "" {
		return s.runtime
	}
	rt, err := runtime.New(programOf(s.dir, s.network.pod, b.Runtime, b.RuntimeKind))
	if err != nil { // its directories are there: the pod's runtime has made them
		s.warn("%v", err)
		return s.runtime
	}
	return rt
}

// run is the supervisor's life, until it is told to shut down.
func (s *Supervisor) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	kept, err := s.keeper.List()
	if err != nil {
		return err
	}
	listener, err := listen(kept["control"])
	if err != nil {
		return err
	}
	found := &adoption{s, kept}
	found.takeOrphans()
	s.network.open(ctx, kept)
	found.adopt(ctx)
	resumeAttendant(ctx, s)
	go (&server{s}).serve(ctx, listener, cancel)
	go s.watchExits(ctx, cancel)
	idle := time.NewTimer(idleAfter)
	for {
		select {
		case f := <-s.mail:
			f()
			idle.Reset(idleAfter)
		case <-idle.C:
			debug.FreeOSMemory() // what the last requests needed is not needed at rest
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, errShutdown) {
				return err
			}
			return s.keeper.Quit()
		}
	}
}

// idleAfter is how long nothing must have happened for a supervisor to be at rest.
const idleAfter = 2 * time.Second

// errShutdown ends the loop after a Shutdown request.
var errShutdown = errors.New("shut down")

// do runs f in the loop and returns when it has run, or when ctx has ended first.
func (s *Supervisor) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case s.mail <- func() { f(); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// post runs f in the loop some time, unless ctx ends first.
func (s *Supervisor) post(ctx context.Context, f func()) {
	select {
	case s.mail <- f:
	case <-ctx.Done():
	}
}

// listen is the control socket: the one that the keeper holds, so that connections wait in its queue while no
// supervisor lives.
func listen(kept []*os.File) (*net.UnixListener, error) {
	if len(kept) != 1 {
		return nil, errors.New("the keeper holds no control socket")
	}
	defer kept[0].Close()
	l, err := net.FileListener(kept[0])
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// watchExits brings the exits that the keeper recorded to the loop, those from before this supervisor first. A
// supervisor whose keeper was killed ends too: what it does nobody would take over, and the next `up` starts both.
func (s *Supervisor) watchExits(ctx context.Context, cancel context.CancelCauseFunc) {
	for seq := uint64(0); ; {
		exit, err := s.keeper.Next(ctx, seq)
		if err != nil {
			cancel(err)
			return
		}
		seq = exit.Seq
		s.post(ctx, func() { s.exited(ctx, exit) })
	}
}

// warn writes to the log beside the keeper's.
func (s *Supervisor) warn(format string, args ...any) {
	warn(fmt.Sprintf(format, args...))
}

func warn(text string) { fmt.Fprintln(os.Stderr, "supervisor: "+text) }
