package state_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pcompose/pcompose/engine/state"
)

// TestMain is another pcompose where the environment says so: it takes the lock of shop below the run directory,
// says so and whom it waited for, and holds it until its stdin ends, again and again if told to.
func TestMain(m *testing.M) {
	run := os.Getenv("PCT_STATE_HOLDER")
	if run == "" {
		os.Exit(m.Run())
	}
	rounds, _ := strconv.Atoi(os.Getenv("PCT_STATE_ROUNDS"))
	for range max(rounds, 1) {
		unlock, err := state.New(run, run).Lock(context.Background(), "shop", "pcompose up", func(holder string) { fmt.Println("waits for " + holder) })
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if rounds > 0 {
			alone(run)
		} else {
			fmt.Println("locked")
			io.Copy(io.Discard, os.Stdin)
		}
		unlock()
	}
}

// alone complains if another holds the lock meanwhile: then the file exists.
func alone(run string) {
	path := filepath.Join(run, "alone")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(path))
	}
	if err != nil {
		fmt.Println("not alone:", err)
		os.Exit(1)
	}
}

// holder is another process with the lock, once it says so.
type holder struct {
	*exec.Cmd
	lines *bufio.Reader
	stdin io.Closer
}

func hold(t *testing.T, run string, env ...string) *holder {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, "PCT_STATE_HOLDER="+run)...)
	cmd.Stderr = os.Stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &holder{cmd, bufio.NewReader(stdout), stdin}
}

func (h *holder) says(t *testing.T, want string) {
	t.Helper()
	if line, err := h.lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != want {
		t.Fatalf("the other process says %q (%v), want %q", line, err, want)
	}
}

// TestLockTwoProcesses: the second waits for the first and says for whom; a killed one frees it.
func TestLockTwoProcesses(t *testing.T) {
	for _, killed := range []bool{true, false} {
		run := t.TempDir()
		first := hold(t, run)
		first.says(t, "locked")
		second := hold(t, run)
		second.says(t, fmt.Sprintf("waits for pcompose up (pid %d)", first.Process.Pid))
		if killed {
			first.Process.Kill()
		} else {
			first.stdin.Close()
		}
		second.says(t, "locked")

		// Here too, and after it there is nothing left.
		got := make(chan string, 1)
		go func() {
			unlock, err := state.New(run, run).Lock(t.Context(), "shop", "pcompose down", func(holder string) { got <- holder })
			if err != nil {
				t.Error(err)
			} else {
				unlock()
			}
			close(got)
		}()
		if who := <-got; who != fmt.Sprintf("pcompose up (pid %d)", second.Process.Pid) {
			t.Errorf("waits for %q", who)
		}
		second.stdin.Close()
		for who := range got {
			t.Errorf("waits twice, for %q", who)
		}
		if left, err := os.ReadDir(filepath.Join(run, "locks")); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}

// TestLockCancelled: a wait ends with its context, and does not take the lock later.
func TestLockCancelled(t *testing.T) {
	s := newStore(t)
	unlock, err := s.Lock(t.Context(), "shop", "up", nil)
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	if _, err := s.Lock(ctx, "shop", "down", func(string) { cancel(why) }); !errors.Is(err, why) || !strings.HasPrefix(err.Error(), `cannot lock project "shop": `) {
		t.Errorf("%v", err)
	}
	unlock()
	again, err := s.Lock(t.Context(), "shop", "up", nil)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// TestLockLeftover: the file of a killed holder, whatever is in it, is no obstacle; other projects are none ever.
func TestLockLeftover(t *testing.T) {
	dir := t.TempDir()
	s := state.New(dir, dir)
	if err := os.Mkdir(filepath.Join(dir, "locks"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", "garbage", "1 pcompose up\n", strings.Repeat("long ", 1000)} {
		if err := os.WriteFile(filepath.Join(dir, "locks", "shop"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, project := range []string{"shop", "other"} {
			unlock, err := s.Lock(t.Context(), project, "up", func(who string) { t.Errorf("waits for %q", who) })
			if err != nil {
				t.Fatal(err)
			}
			defer unlock()
		}
		if err := os.Remove(filepath.Join(dir, "locks", "shop")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "locks", "other")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLockStress: unlocking removes the file, and yet never do two hold the lock: goroutines and processes
// together.
func TestLockStress(t *testing.T) {
	run := t.TempDir()
	s := state.New(run, run)
	var others []*holder
	for range 3 {
		others = append(others, hold(t, run, "PCT_STATE_ROUNDS=300"))
	}
	var held atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				if i == 0 { // one gives up at times
					ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
				}
				unlock, err := s.Lock(ctx, "shop", "up", nil)
				cancel()
				if err != nil {
					if i != 0 {
						t.Error(err)
					}
					continue
				}
				if n := held.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				path := filepath.Join(run, "alone")
				f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					t.Errorf("another process holds the lock: %v", err)
				} else {
					f.Close()
					os.Remove(path)
				}
				held.Add(-1)
				unlock()
			}
		})
	}
	all.Wait()
	for _, h := range others {
		for {
			line, err := h.lines.ReadString('\n')
			if strings.Contains(line, "not alone") {
				t.Error(line)
			}
			if err != nil {
				break
			}
		}
		if err := h.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// TestSwept: whoever takes the lock of a project that is not remembered removes what a killed command left of it, and
// nothing of one that is.
func TestSwept(t *testing.T) {
	for name, remembered := range map[string]bool{"remembered": true, "forgotten": false} {
		t.Run(name, func(t *testing.T) {
			s := state.New(t.TempDir(), t.TempDir())
			left := filepath.Join(s.Dir("shop"), "logs", "id")
			if err := os.MkdirAll(left, 0o700); err != nil {
				t.Fatal(err)
			}
			if remembered {
				e, err := s.Edit("shop")
				if err == nil {
					err = e.Change(func(*state.Project) {})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			unlock, err := s.Lock(t.Context(), "shop", "pcompose down", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer unlock()
			if _, err := os.Stat(left); (err == nil) != remembered {
				t.Errorf("%s: %v", left, err)
			}
			if _, err := os.Stat(s.Dir("shop")); (err == nil) != remembered {
				t.Errorf("%s: %v", s.Dir("shop"), err)
			}
		})
	}
}
