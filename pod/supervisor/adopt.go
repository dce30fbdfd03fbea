package supervisor

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/lifecycle"
)

// adoption is the begin of a supervisor's life: it takes over what is there.
type adoption struct {
	*Supervisor
	// kept are the files that the keeper holds.
	kept map[string][]*os.File
}

// adopt takes over the containers that a dead supervisor has left, each from its run.json:
//   - one that was being started may or may not run: it is removed and started again;
//   - one that runs goes on, its output with the pipes that the keeper held;
//   - one that ended meanwhile has its exit in the keeper's record, which watchExits reads next; where there is
//     no record its exit code is unknown, and is not invented;
//   - one that waited for its restart waits anew;
//   - one that was held paused goes on.
func (s *adoption) adopt(ctx context.Context) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "containers"))
	if err != nil {
		return // no container yet
	}
	for _, e := range entries {
		c, err := s.find(e.Name())
		if err != nil {
			continue // its bundle is not complete: whoever makes it will ask for its start
		}
		if run, err := control.ReadRun(c.dir); err == nil {
			c.run = run
		}
		s.resume(ctx, c)
	}
	// All at once: the network takes who is not shown for not ready.
	for _, c := range s.containers {
		c.look()
	}
	tellNetwork(s.Supervisor)
}

func (s *adoption) resume(ctx context.Context, c *container) {
	run := &c.run.Run
	switch {
	case c.run.Launching:
		discardKept(s.keeper, c.bundle.ID, s.kept)
		s.launch(ctx, c)
	case run.State == pod.StateRestarting:
		s.carryOut(ctx, c, lifecycle.Arm{Timer: lifecycle.TimerRestart, In: c.run.Backoff})
	case run.State == pod.StateRunning || run.State == pod.StatePaused:
		c.output = adoptOutput(ctx, c.bundle, s.kept)
		if !runs(c.run) {
			s.endedUnseen(ctx, c)
			return
		}
		if !child(run.PID) {
			s.watchOrphan(ctx, c)
		}
		if c.run.Stopping { // its time has begun before: whoever asked, with another grace, asks again
			s.carryOut(ctx, c, lifecycle.Arm{Timer: lifecycle.TimerKill, In: c.bundle.Container.Stop.GraceOrDefault()})
		}
		switch {
		case c.run.Pausing:
			s.carryOut(ctx, c, lifecycle.Freeze{})
		case c.run.Resuming:
			s.carryOut(ctx, c, lifecycle.Thaw{})
		case lifecycle.Checked(c.bundle.Container) && !c.run.Stopping && run.State == pod.StateRunning:
			s.carryOut(ctx, c, lifecycle.RunProbe{})
		}
		if c.run.Held { // by a connection to the supervisor before
			s.happen(ctx, c, lifecycle.Release{})
		}
	}
}

// child says whether a process is the keeper's, so that the keeper records its exit. Else the keeper that was
// there before has been killed.
func child(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true // it has just ended: the record decides
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	return len(fields) > 1 && fields[1] == strconv.Itoa(os.Getppid())
}

// endedUnseen ends a container whose process is gone. The keeper records an exit before it reaps, so a
// process that is gone has its record, unless the keeper died too.
func (s *adoption) endedUnseen(ctx context.Context, c *container) {
	for seq := uint64(0); ; {
		seen, cancel := context.WithDeadline(ctx, time.Unix(1, 0)) // only what is recorded already
		exit, err := s.keeper.Next(seen, seq)
		cancel()
		if err != nil {
			s.end(ctx, c, time.Now(), pod.UnknownExit)
			return
		}
		seq = exit.Seq
		if exit.PID == c.run.Run.PID && exit.Start == c.run.Start {
			return // watchExits brings it
		}
	}
}
