package cli

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// forward calls do with the signals that a container is to get in place of us: those that a terminal sends, and those
// that end a program or are for it. The third that asks for an end is a SIGKILL, to a container that hears none. Before is
// the cause of a context that a signal ended earlier, or nil.
func (streams Streams) forward(do func(<-chan os.Signal), before error) {
	more := make(chan os.Signal, 8)
	signal.Notify(more, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(more)
	out, done := make(chan os.Signal), make(chan struct{})
	defer close(done)
	go func() {
		pass := func(s os.Signal) {
			select {
			case out <- s:
			case <-done:
			}
		}
		asked := 0
		ask := func(s os.Signal) {
			if asked++; asked >= 3 {
				s = syscall.SIGKILL
			}
			pass(s)
		}
		var early interrupted
		if errors.As(before, &early) {
			ask(early.signal)
		}
		for {
			select {
			case s := <-streams.Signals:
				ask(s)
			case s := <-more:
				pass(s)
			case <-done:
				return
			}
		}
	}()
	do(out)
}
