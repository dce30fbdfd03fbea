package supervisor

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/lifecycle"
	"github.com/pcompose/pcompose/pod/runtime"
	"golang.org/x/sys/unix"
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
	c.probes++
	number, b := c.probes, c.bundle
	c.work.Add(1)
	go func() {
		defer cancel()
		p := pod.Probe{At: time.Now()}
		noted := s.journal.executing(b, b.Probe.Args)
		p.ExitCode, p.Output = runProbe(probing, runtimeOf(s, b), b)
		c.work.Done()
		p.Took = time.Since(p.At)
		noted.ended(p.ExitCode)
		if probing.Err() == context.DeadlineExceeded {
			p.ExitCode, p.Output = -1, fmt.Sprintf("health check took longer than %s\n", timeout)+p.Output
		}
		s.post(ctx, func() {
			if c.probes == number { // else it was of the run before, or a pause has ended it
				c.probing = nil
				s.happen(ctx, c, lifecycle.Probed{Probe: p})
			}
		})
	}()
}

// there is what is in a pipe: a deadline that has passed keeps a read from looking at all.
func there(r *os.File, limit int) string {
	b := make([]byte, limit)
	n := 0
	raw, err := r.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n, _ = unix.Read(int(fd), b) }) // EAGAIN is nothing
	}
	if err != nil {
		return ""
	}
	return string(b[:max(n, 0)])
}

func runProbe(ctx context.Context, rt runtime.Runtime, b control.Bundle) (code int, output string) {
	r, w, err := os.Pipe()
	if err != nil {
		return -1, err.Error()
	}
	defer r.Close()
	p, err := rt.Exec(ctx, runtime.ExecOptions{ID: b.ID, Process: b.Probe, Stdout: w, Stderr: w})
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
	output += there(r, maxProbeOutput-len(output))
	if err != nil {
		output += err.Error()
	}
	return code, output
}
