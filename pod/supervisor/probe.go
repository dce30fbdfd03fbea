package supervisor

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/lifecycle"
	"github.com/pcompose/pcompose/pod/runtime"
)

// maxProbeOutput is what is kept of a probe's output, in bytes.
const maxProbeOutput = 4096

// probe runs the health check once, beside the loop, and reports Probed. A probe that takes too long is
// killed with everything it started.
func (s *Supervisor) probe(ctx context.Context, c *container) {
	if c.probing != nil || c.bundle.Probe == nil {
		return
	}
	timeout := lifecycle.Timeout(c.bundle.Container.Health)
	probing, cancel := context.WithTimeout(ctx, timeout)
	c.probing = cancel
	started := c.run.Run.StartedAt
	go func() {
		defer cancel()
		p := pod.Probe{At: time.Now()}
		p.ExitCode, p.Output = s.runProbe(probing, c)
		p.Took = time.Since(p.At)
		if probing.Err() == context.DeadlineExceeded {
			p.ExitCode, p.Output = -1, fmt.Sprintf("health check took longer than %s\n", timeout)+p.Output
		}
		s.post(ctx, func() {
			c.probing = nil
			if c.run.Run.StartedAt.Equal(started) { // else it was of the run before
				s.happen(ctx, c, lifecycle.Probed{Probe: p})
			}
		})
	}()
}

func (s *Supervisor) runProbe(ctx context.Context, c *container) (code int, output string) {
	r, w, err := os.Pipe()
	if err != nil {
		return -1, err.Error()
	}
	defer r.Close()
	p, err := s.runtime.Exec(ctx, runtime.ExecOptions{ID: c.bundle.ID, Process: c.bundle.Probe, Stdout: w, Stderr: w})
	w.Close()
	if err != nil {
		return -1, err.Error()
	}
	read := make(chan string)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(r, maxProbeOutput))
		_, _ = io.Copy(io.Discard, r) // what is over the limit must not block the probe
		read <- string(b)
	}()
	stop := context.AfterFunc(ctx, func() { _ = p.Kill() }) // Wait has the outcome
	defer stop()
	code, err = p.Wait()
	// A process that the probe left behind holds the pipe open: what it has written until now is all there is.
	_ = r.SetReadDeadline(time.Now()) // a pipe of os.Pipe takes deadlines
	output = <-read
	if err != nil {
		output += err.Error()
	}
	return code, output
}
