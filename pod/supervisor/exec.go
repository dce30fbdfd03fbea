package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/runtime"
)

// exec runs a further process in a container, its output straight to the client's files: the supervisor does
// not stand between them. Of a terminal the client gets the master.
func (s *server) exec(ctx context.Context, conn *control.Conn, req control.Exec, files []*os.File) {
	p, noted, err := s.beginExec(ctx, req, files)
	if err != nil {
		_ = conn.Send(control.Reply{Error: plain(err), ExitCode: commandCode(err)}) // a client that has gone does not want it
		return
	}
	for _, f := range files {
		f.Close() // else the end of a pipe that the process closes would never come
	}
	var console []*os.File
	if p.Console != nil {
		console = append(console, p.Console)
	}
	_ = conn.Send(control.Reply{}, console...) // as above: the command runs on
	for _, f := range console {
		f.Close()
	}
	code, err := p.Wait()
	noted.ended(code)
	reply := control.Reply{ExitCode: code, Exited: true}
	if err != nil {
		reply.Error = plain(err)
	}
	_ = conn.Send(reply) // as above
}

func (s *server) beginExec(ctx context.Context, req control.Exec, files []*os.File) (*runtime.Process, execution, error) {
	var running, paused bool
	var name string
	var rt runtime.Runtime
	var b control.Bundle
	var run control.Run
	var err error
	doErr := s.do(ctx, func() {
		var c *container
		if c, err = s.find(req.ID); err == nil {
			b, run = c.bundle, c.run
			paused = c.run.Pausing || c.run.Run.State == pod.StatePaused
			running, name = c.run.Run.State.Alive() && c.run.Run.PID != 0 && !c.ending, c.bundle.Container.Name
			rt = runtimeOf(s.Supervisor, c.bundle)
		}
	})
	if err = errors.Join(doErr, err); err != nil {
		return nil, execution{}, err
	}
	if running && paused {
		return nil, execution{}, fmt.Errorf("cannot run a command in container %q: it is paused: `pcompose unpause` lets it go on", name)
	}
	if !running {
		return nil, execution{}, fmt.Errorf("cannot run a command in container %q: it is not running", name)
	}
	o := runtime.ExecOptions{ID: req.ID, Process: &specs.Process{}}
	if err := json.Unmarshal(req.Process, o.Process); err != nil {
		return nil, execution{}, fmt.Errorf("cannot read the process to run: %w", err)
	}
	if err := lookUp(run, o.Process); err != nil {
		return nil, execution{}, err
	}
	if len(files) == 3 {
		o.Stdin, o.Stdout, o.Stderr = files[0], files[1], files[2]
	}
	noted := s.journal.executing(b, o.Process.Args)
	p, err := rt.Exec(ctx, o)
	if err != nil {
		noted.ended(commandCode(err))
	}
	return p, noted, err
}
