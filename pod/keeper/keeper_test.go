package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

type pod struct {
	t   *testing.T
	dir string
	pid int
	out *os.File
	in  *os.File
}

// newPod starts a keeper whose supervisor is this test binary.
func newPod(t *testing.T, mode string, steady time.Duration) *pod {
	t.Helper()
	p := &pod{t: t, dir: t.TempDir()}
	for _, name := range []string{"in", "out"} {
		if err := unix.Mkfifo(filepath.Join(p.dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// O_RDWR: never EOF, no matter how many supervisors die.
	p.in, _ = os.OpenFile(filepath.Join(p.dir, "in"), os.O_RDWR, 0)
	p.out, _ = os.OpenFile(filepath.Join(p.dir, "out"), os.O_RDWR|unix.O_NONBLOCK, 0)
	t.Cleanup(func() {
		if pid, alive := Find(p.dir); alive {
			sup := p.supervisor()
			syscall.Kill(pid, syscall.SIGKILL)
			if sup > 0 {
				syscall.Kill(sup, syscall.SIGKILL)
			}
		}
		p.in.Close()
		p.out.Close()
	})
	var err error
	p.pid, err = Start(t.Context(), Config{
		Dir: p.dir, Supervisor: []string{"pct-supervisor", mode, p.dir}, Env: os.Environ(), Steady: steady,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask has the living supervisor do something; "" when it died meanwhile.
func (p *pod) ask(op, arg string) string {
	p.t.Helper()
	fmt.Fprintln(p.in, op, arg)
	p.out.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 4096)
	n, err := p.out.Read(buf)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(p.dir, "keeper.log"))
		p.t.Fatalf("%s %s: %v; log: %s", op, arg, err, log)
	}
	return strings.TrimSpace(string(buf[:n]))
}

// supervisor is the keeper's child of that name; 0 when there is none now.
func (p *pod) supervisor() int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.pid, p.pid))
	for _, f := range strings.Fields(string(text)) {
		pid, _ := strconv.Atoi(f)
		cmd, _ := os.ReadFile("/proc/" + f + "/cmdline")
		if strings.HasPrefix(string(cmd), "pct-supervisor") {
			return pid
		}
	}
	return 0
}

// killSupervisor ends the supervisor by SIGKILL and returns when its successor answers.
func (p *pod) killSupervisor() {
	p.t.Helper()
	before := p.ask("pid", "-")
	pid, _ := strconv.Atoi(before)
	syscall.Kill(pid, syscall.SIGKILL)
	waitGone(p.t, pid)
	if after := p.ask("pid", "-"); after == before {
		p.t.Fatal("the same supervisor answers")
	}
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20000); n != 1 {
		t.Fatalf("process %d does not end", pid)
	}
}

// exits reads the ring as a supervisor does, up to n records.
func (p *pod) exits(n int) []Exit {
	p.t.Helper()
	f, err := os.Open(filepath.Join(p.dir, "exits"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	r, err := mapRing(f)
	if err != nil {
		p.t.Fatal(err)
	}
	var all []Exit
	for end := time.Now().Add(20 * time.Second); len(all) < n; {
		if e, ok := r.next(uint64(len(all))); ok {
			all = append(all, e)
		} else if time.Now().After(end) {
			p.t.Fatalf("%d exits of %d", len(all), n)
		} else {
			time.Sleep(time.Millisecond) // the test has no socket to be woken by
		}
	}
	return all
}

func TestFindAndSecondKeeper(t *testing.T) {
	p := newPod(t, "serve", time.Millisecond)
	if pid, alive := Find(p.dir); pid != p.pid || !alive {
		t.Errorf("Find = %d %v, want %d", pid, alive, p.pid)
	}
	_, err := Start(t.Context(), Config{Dir: p.dir, Supervisor: []string{"x"}})
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("second keeper: %v", err)
	}
	if _, err := Start(t.Context(), Config{Dir: p.dir + "/none", Supervisor: []string{"x"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	text, _ := os.ReadFile(filepath.Join(p.dir, "keeper.pid"))
	fields := strings.Fields(string(text))
	for name, content := range map[string]string{
		"reused": fields[0] + " 1 " + fields[2], "rebooted": fields[0] + " " + fields[1] + " other", "torn": fields[0], "empty": "",
	} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "keeper.pid"), []byte(content), 0o600)
		if _, alive := Find(dir); alive {
			t.Errorf("%s: alive", name)
		}
	}
}

func TestFilesAndExitsSurviveTwoHundredKills(t *testing.T) {
	p := newPod(t, "serve", time.Millisecond)
	for i := range 5 {
		if got := p.ask("put", fmt.Sprint("key", i)); got != "2 <nil>" {
			t.Fatal(got)
		}
	}
	for i := range 200 {
		if i%10 == 0 { // ends while some supervisor may or may not live
			p.ask("orphan", fmt.Sprintf("sleep_0.0%d;exit_%d", i%7, i/10+1))
		}
		p.killSupervisor()
	}
	if got := p.ask("list", "-"); got != "5 5" {
		t.Errorf("list = %q", got)
	}
	codes := map[int]int{}
	for _, e := range p.exits(20) {
		codes[e.Status.ExitStatus()]++
		if e.Start == 0 || e.PID == 0 || time.Since(e.At) > time.Hour {
			t.Errorf("exit %+v", e)
		}
	}
	for code := 1; code <= 20; code++ {
		if codes[code] < 1 {
			t.Errorf("code %d not recorded: %v", code, codes)
		}
	}
}

func TestExitsWhileSupervisorIsDead(t *testing.T) {
	p := newPod(t, "crash", time.Hour)
	_ = p
	q := newPod(t, "serve", time.Hour) // every death is early: the third start waits
	q.ask("orphan", "sleep_0.4;exit_42")
	q.ask("orphan", "sleep_0.4;kill_-KILL_$$;true")
	q.killSupervisor()
	q.killSupervisor()
	for range 4 { // 50, 100, 200, 400 ms: the orphans end in such a gap or beside a supervisor
		q.killSupervisor()
	}
	seen := map[string]bool{}
	for _, e := range q.exits(2) {
		seen[fmt.Sprint(e.Status.Exited(), e.Status.ExitStatus(), e.Status.Signaled())] = true
	}
	if !seen["true 42 false"] {
		t.Errorf("exits %v", seen)
	}
	starts := func() int { b, _ := os.ReadFile(filepath.Join(p.dir, "starts")); return len(b) }
	if n := starts(); n < 3 || n > 12 {
		t.Errorf("%d starts of a supervisor that crashes: no back-off", n)
	}
}

func TestGarbage(t *testing.T) {
	p := newPod(t, "garbage", time.Millisecond)
	if got := p.ask("put", "after"); got != "2 <nil>" {
		t.Fatal(got)
	}
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid))
	// 3 stdio, directory, signals, exits, socket, two for each key the garbage made by being well-formed, and ours
	if len(fds) > 3+4+4+3+2 {
		for _, fd := range fds {
			to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", p.pid, fd.Name()))
			t.Log(fd.Name(), to)
		}
		t.Errorf("%d descriptors leaked", len(fds))
	}
	p.killSupervisor()
	if got := p.ask("drop", "after"); got != "<nil>" {
		t.Error(got)
	}
}

func TestFull(t *testing.T) {
	p := newPod(t, "serve", time.Millisecond)
	if err := unix.Prlimit(p.pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 500, Max: 500}, nil); err != nil {
		t.Skipf("cannot lower the limit of the keeper: %v", err)
	}
	got := p.ask("fill", "-")
	n, _ := strconv.Atoi(strings.Fields(got)[0])
	if n < 200 || !strings.Contains(got, "too many open files") {
		t.Errorf("fill = %q", got)
	}
	p.killSupervisor()
	if got, want := p.ask("list", "-"), fmt.Sprint(n, " ", n); got != want {
		t.Errorf("list = %q, want %q", got, want)
	}
}

func TestManyKeys(t *testing.T) {
	p := newPod(t, "serve", time.Millisecond)
	if err := unix.Prlimit(p.pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 8192, Max: 8192}, nil); err != nil {
		t.Skipf("cannot raise the limit of the keeper: %v", err)
	}
	if got := p.ask("fill", "-"); !strings.HasPrefix(got, "2048 ") || !strings.Contains(got, "no space") {
		t.Errorf("fill = %q", got)
	}
	if got := p.ask("list", "-"); got != "2048 2048" {
		t.Errorf("list = %q", got)
	}
}

func TestQuitLeavesNothing(t *testing.T) {
	p := newPod(t, "serve", time.Millisecond)
	sup, _ := strconv.Atoi(p.ask("pid", "-"))
	p.ask("put", "key")
	if got := p.ask("quit", "-"); got != "<nil>" {
		t.Fatal(got)
	}
	waitGone(t, p.pid)
	if _, alive := Find(p.dir); alive {
		t.Error("alive")
	}
	if _, err := os.Stat(filepath.Join(p.dir, "keeper.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("keeper.pid: %v", err)
	}
	fmt.Fprintln(p.in, "exit -")
	waitGone(t, sup)
}

func TestTermIsPassedOn(t *testing.T) {
	p := newPod(t, "serve", time.Millisecond)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT, syscall.SIGUSR1} {
		syscall.Kill(p.pid, s)
	}
	before, _ := strconv.Atoi(p.ask("pid", "-"))
	syscall.Kill(p.pid, syscall.SIGTERM)
	waitGone(t, before)
	if got := p.ask("pid", "-"); got == strconv.Itoa(before) {
		t.Error("the supervisor did not get SIGTERM")
	}
	if _, alive := Find(p.dir); !alive {
		t.Error("the keeper died of a signal")
	}
}

func TestNewKeeperContinuesTheRing(t *testing.T) {
	p := newPod(t, "serve", time.Millisecond)
	p.ask("orphan", "exit_7")
	if e := p.exits(1)[0]; e.Status.ExitStatus() != 7 {
		t.Fatalf("exit %+v", e)
	}
	sup, _ := strconv.Atoi(p.ask("pid", "-"))
	syscall.Kill(p.pid, syscall.SIGKILL)
	syscall.Kill(sup, syscall.SIGKILL)
	waitGone(t, p.pid)
	waitGone(t, sup)
	if _, alive := Find(p.dir); alive {
		t.Fatal("alive")
	}
	pid, err := Start(context.Background(), Config{Dir: p.dir, Supervisor: []string{"pct-supervisor", "serve", p.dir}, Env: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	p.pid = pid
	p.ask("orphan", "exit_8")
	if e := p.exits(2)[1]; e.Seq != 2 || e.Status.ExitStatus() != 8 {
		t.Errorf("exit %+v", e)
	}
}

func TestNextIsWoken(t *testing.T) {
	p := newPod(t, "serve", time.Millisecond)
	for i := range 5 {
		p.ask("orphan", fmt.Sprintf("sleep_0.1;exit_%d", 40+i))
		if got, want := p.ask("next", strconv.Itoa(i)), fmt.Sprint(i+1, " ", 40+i, " <nil>"); got != want {
			t.Errorf("next = %q, want %q", got, want)
		}
	}
}

func TestRingReader(t *testing.T) {
	r := &ring{head: 3000}
	for seq := uint64(3000 - records + 1); seq <= 3000; seq++ {
		r.rec[(seq-1)%records] = record{seq: seq, pid: int32(seq)}
	}
	r.rec[(2500-1)%records].seq = 0 // left by a keeper killed half-way
	for _, tt := range []struct{ after, want uint64 }{{0, 1977}, {1976, 1977}, {2498, 2499}, {2499, 2501}, {2999, 3000}} {
		if e, ok := r.next(tt.after); !ok || e.Seq != tt.want || e.PID != int(tt.want) {
			t.Errorf("next(%d) = %+v %v, want %d", tt.after, e, ok, tt.want)
		}
	}
	if e, ok := r.next(3000); ok {
		t.Errorf("next(3000) = %+v", e)
	}
}

func TestMemory(t *testing.T) {
	p := newPod(t, "serve", time.Millisecond)
	p.ask("put", "key")
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.pid))
	if err != nil {
		t.Skipf("no smaps_rollup: %v", err)
	}
	private := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if strings.HasPrefix(line, "Private_Clean:") || strings.HasPrefix(line, "Private_Dirty:") || strings.HasPrefix(line, "Pss_Anon:") {
			t.Log(strings.TrimSpace(line))
		}
		if strings.HasPrefix(line, "Private_Dirty:") {
			private, _ = strconv.Atoi(f[1])
		}
	}
	if private > 512 {
		t.Errorf("%d kB of private dirty memory", private)
	}
}
