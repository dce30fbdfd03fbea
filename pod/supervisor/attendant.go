package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/logs"
	"golang.org/x/sys/unix"
)

// attendant is the program of ours that watches files beside the containers. It is a child of the supervisor and has one
// end of a socket, by which it says that it has begun, or why it cannot, and whose end is its own: it never outlives its
// supervisor for long, and the next one starts another.
type attendant struct {
	order control.Attend
	// cancel ends it, and ended is closed when it has.
	cancel context.CancelFunc
	ended  chan struct{}
	// pid is the loop's alone; 0 while none runs.
	pid int
}

// attend has a program run beside the containers, in place of the one before; none ends that.
func attend(ctx context.Context, s *Supervisor, order control.Attend) error {
	var before *attendant
	if err := s.do(ctx, func() { before = s.attendant }); err != nil {
		return err
	}
	if before != nil && order.Watcher != nil && before.order.Watcher.Key == order.Watcher.Key {
		return nil
	}
	if before != nil {
		before.cancel()
		select {
		case <-before.ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if order.Watcher == nil {
		return control.RemoveAttend(s.dir)
	}
	if err := control.WriteAttend(s.dir, order); err != nil {
		return err
	}
	begun := make(chan error, 1)
	var started *attendant
	if err := s.do(ctx, func() { started = startAttendant(ctx, s, order, begun) }); err != nil {
		return err
	}
	select {
	case err := <-begun:
		return err
	case <-started.ended:
		select {
		case err := <-begun: // what it said before
			return err
		default:
		}
		return errors.New("cannot watch files: the program that does has ended: `pcompose logs` says more")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// resumeAttendant starts the program that a supervisor before this one had.
func resumeAttendant(ctx context.Context, s *Supervisor) {
	order, err := control.ReadAttend(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil || order.Watcher == nil {
		s.warn("cannot watch files: %v", err)
		return
	}
	startAttendant(ctx, s, order, make(chan error, 1))
}

// startAttendant starts a program, and again whenever it is killed, until it ends by itself or is cancelled. Begun is told
// what the first one says. It runs in the loop.
func startAttendant(ctx context.Context, s *Supervisor, order control.Attend, begun chan<- error) *attendant {
	running, cancel := context.WithCancel(ctx)
	a := &attendant{order: order, cancel: cancel, ended: make(chan struct{})}
	s.attendant = a
	go func() {
		wait := time.Duration(0)
		for {
			since := time.Now()
			if err := runAttendant(running, s, a, begun); err != nil {
				s.warn("%v", err)
			} else {
				break
			}
			// As the keeper does with us: at once, and then less and less often.
			wait = min(max(2*wait, 50*time.Millisecond), 5*time.Second)
			if time.Since(since) > time.Minute {
				wait = 0
			}
			select {
			case <-time.After(wait):
				continue
			case <-running.Done():
			}
			break
		}
		cancel()
		s.post(ctx, func() {
			if s.attendant == a {
				s.attendant = nil
			}
			if ctx.Err() == nil {
				report(control.RemoveAttend(s.dir))
			}
			close(a.ended)
		})
	}()
	return a
}

// runAttendant runs a program until its end. An error is one that was not its own will, nor ours.
func runAttendant(ctx context.Context, s *Supervisor, a *attendant, begun chan<- error) error {
	log, err := logs.Open(logs.Config{Dir: a.order.LogDir})
	if err != nil {
		return err
	}
	defer log.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("cannot watch files: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "attendant"), os.NewFile(uintptr(pair[1]), "supervisor")
	defer ours.Close()
	r, w, err := logs.NewPipe()
	if err != nil {
		theirs.Close()
		return err
	}
	defer r.Close()
	p := a.order.Watcher
	// The program as it was started, should it be replaced by a newer one meanwhile (proc_pid_exe(5)).
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: p.Argv, Env: p.Env, Dir: p.Dir, Stdout: w, Stderr: w, ExtraFiles: []*os.File{theirs},
		SysProcAttr: &unix.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	w.Close()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("cannot start the program that watches files: %w", err)
	}
	s.post(ctx, func() { a.pid = cmd.Process.Pid })
	defer s.post(ctx, func() { a.pid = 0 })
	pumping, stop := context.WithCancel(context.WithoutCancel(ctx))
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		report(log.Pump(pumping, logs.Stdout, r))
	}()
	go listenTo(ours, begun)
	over := context.AfterFunc(ctx, func() { end(ours, cmd.Process) })
	defer over()
	err = cmd.Wait()
	stop()
	<-pumped
	report(log.Drain(logs.Stdout, r))
	report(log.EndLine(logs.Stdout))
	// 1 is a failure that it has told: it would fail again.
	if code := cmd.ProcessState.ExitCode(); ctx.Err() != nil || code == 0 || code == 1 {
		return nil
	}
	return fmt.Errorf("the program that watches files ended: %w", err)
}

// listenTo passes on what a program says of its beginning: nothing where it has begun.
func listenTo(ours *os.File, begun chan<- error) {
	said := make([]byte, 4096)
	n, err := ours.Read(said)
	if n == 0 || err != nil {
		return // it has ended, which says more
	}
	var failure error
	if text := string(said[:n]); text != control.Begun {
		failure = errors.New(text)
	}
	select {
	case begun <- failure:
	default: // nobody waits for the second one
	}
}

// attendantGrace is how long a program has to end what it does.
const attendantGrace = 10 * time.Second

// end tells a program to end, and kills it when it takes too long.
func end(ours *os.File, p *os.Process) {
	ours.Close()
	time.AfterFunc(attendantGrace, func() { _ = p.Kill() }) // it has mostly ended, and Kill knows
}
