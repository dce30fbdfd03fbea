package logs

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The promise of the package: 300 SIGKILLs of the writer while 300,000 numbered lines go through, and none of them is
// lost, doubled or torn, nor changes its stream.
func TestKilledWriterLosesNothing(t *testing.T) {
	kills, perKill := 300, 500
	if testing.Short() {
		kills = 30
	}
	dir := t.TempDir()
	outR, outW := newPipe(t)
	errR, errW := newPipe(t)
	tokens := [2]chan int{make(chan int, kills), make(chan int, kills)}
	var producers sync.WaitGroup
	for i, w := range []*os.File{outW, errW} {
		producers.Go(func() {
			n := 0
			for range tokens[i] {
				b := bufio.NewWriterSize(w, 1+rand.IntN(5000)) // torn anywhere
				for range perKill {
					fmt.Fprintf(b, "%d-%d-%s\n", i+1, n, strings.Repeat("x", n%150))
					n++
				}
				b.Flush()
			}
			w.Close()
		})
	}
	for range kills {
		cmd := self(t, "pct-writer", dir)
		cmd.ExtraFiles = []*os.File{outR, errR}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		tokens[0] <- 0
		tokens[1] <- 0
		// The moment of the kill is the test's random input.
		time.Sleep(time.Duration(rand.IntN(9000)) * time.Microsecond)
		cmd.Process.Signal(syscall.SIGKILL)
		cmd.Wait()
	}
	close(tokens[0])
	close(tokens[1])
	cmd := self(t, "pct-writer", dir)
	cmd.ExtraFiles = []*os.File{outR, errR}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	producers.Wait()
	var next [3]int
	err := Read(t.Context(), dir, all, func(l Line) error {
		n := next[l.Stream]
		if want := fmt.Sprintf("%d-%d-%s", l.Stream, n, strings.Repeat("x", n%150)); string(l.Text) != want || l.Partial {
			return fmt.Errorf("%s: got %q, want %q", l.Stream, l.Text, want)
		}
		next[l.Stream]++
		return nil
	})
	if err != nil || next[1] != kills*perKill || next[2] != kills*perKill {
		t.Errorf("read %v of %d each: %v", next[1:], kills*perKill, err)
	}
	gens, _ := generations(dir)
	t.Logf("%d kills, %d lines, %d generations", kills, next[1]+next[2], len(gens))
}
