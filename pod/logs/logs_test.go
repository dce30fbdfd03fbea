package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain makes the test binary the writer that is killed, or the producer of a benchmark.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[0] == "pct-writer":
		writer(os.Args[1])
	case len(os.Args) == 3 && os.Args[0] == "pct-producer":
		produce(os.Args[1], os.Args[2])
	default:
		os.Exit(m.Run())
	}
}

// writer pumps descriptors 3 and 4 until both end.
func writer(dir string) {
	l, err := Open(Config{Dir: dir, MaxSize: 1 << 20, MaxFiles: 1000})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	done := make(chan error)
	for i, s := range []Stream{Stdout, Stderr} {
		go func() { done <- l.Pump(context.Background(), s, os.NewFile(uintptr(3+i), "pipe")) }()
	}
	for range 2 {
		if err := <-done; err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

func self(t testing.TB, argv ...string) *exec.Cmd {
	t.Helper()
	return &exec.Cmd{Path: "/proc/self/exe", Args: argv, Stderr: os.Stderr, Env: os.Environ()}
}

func open(t testing.TB, cfg Config) *Log {
	t.Helper()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func newPipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// put stores text as one chunk of its own.
func put(t testing.TB, l *Log, s Stream, text string) {
	t.Helper()
	r, w := newPipe(t)
	defer r.Close()
	defer w.Close()
	l.mu.Lock()
	l.fresh = false
	l.mu.Unlock()
	for len(text) > 0 {
		n, err := w.WriteString(text[:min(len(text), 32<<10)])
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Drain(s, r); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
}

// lines reads a log as "o:text" and "e:text", with "+" after partial ones.
func lines(t testing.TB, dir string, o ReadOptions) []string {
	t.Helper()
	var all []string
	err := Read(t.Context(), dir, o, func(l Line) error {
		all = append(all, show(l))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func show(l Line) string {
	text := l.Stream.String()[3:4] + ":" + string(l.Text) // o(ut), e(rr)
	if l.Partial {
		text += "+"
	}
	return text
}

func expect(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("lines\n got %q\nwant %q", got, want)
	}
}

var all = ReadOptions{Tail: -1}

func TestInterleavedStreams(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Config{Dir: dir})
	put(t, l, Stdout, "one\ntw")
	put(t, l, Stderr, "err\nba")
	put(t, l, Stdout, "o\nthree\n")
	put(t, l, Stderr, "d\n\nlast")
	expect(t, lines(t, dir, all), "o:one", "e:err", "o:two", "o:three", "e:bad", "e:", "e:last+")
	for n, want := range []string{"", "e:last+", "e:|e:last+", "e:bad|e:|e:last+"} {
		expect(t, []string{strings.Join(lines(t, dir, ReadOptions{Tail: n}), "|")}, want)
	}
	expect(t, lines(t, dir, ReadOptions{Tail: 1 << 60}), lines(t, dir, all)...)
}

func TestPumpAndResume(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		l := open(t, Config{Dir: dir})
		r, w := newPipe(t)
		done := make(chan error)
		go func() { done <- l.Pump(t.Context(), Stdout, r) }()
		fmt.Fprintf(w, "run %d\n", i)
		w.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	expect(t, lines(t, dir, all), "o:run 0", "o:run 1", "o:run 2")
}

func TestPumpStopsAndDrainFinishes(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir()})
	r, w := newPipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Pump(ctx, Stdout, r) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	fmt.Fprintln(w, "last words") // w stays open, as a grandchild's
	if err := l.Drain(Stdout, r); err != nil {
		t.Fatal(err)
	}
	expect(t, lines(t, l.cfg.Dir, all), "o:last words")
	// The pipe goes on to work for a later pump.
	go func() { done <- l.Pump(t.Context(), Stdout, r) }()
	fmt.Fprintln(w, "more")
	w.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	expect(t, lines(t, l.cfg.Dir, all), "o:last words", "o:more")
}

func TestCloseEndsPump(t *testing.T) {
	l := open(t, Config{Dir: t.TempDir()})
	r, w := newPipe(t)
	l.Close()
	fmt.Fprintln(w, "x")
	if err := l.Pump(t.Context(), Stdout, r); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Pump on a closed log: %v", err)
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, Config{Dir: dir})
	var stderr strings.Builder
	cmd := self(t, "pct-writer", dir)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "another process writes it") {
		t.Errorf("second writer: %v, %s", err, stderr.String())
	}
}

func TestTerminal(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Config{Dir: dir})
	master, slave := pty(t)
	done := make(chan error)
	go func() { done <- l.Pump(t.Context(), Stdout, master) }()
	for i := range 2000 {
		fmt.Fprintf(slave, "tty line %d\n", i)
	}
	slave.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := lines(t, dir, all)
	if len(got) != 2000 || got[1999] != "o:tty line 1999\r" {
		t.Errorf("%d lines, last %q", len(got), got[len(got)-1])
	}
}

// pty opens a terminal as a container runtime sends it: a blocking master.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("cannot unlock pseudo-terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("cannot open pseudo-terminal: %v", err)
	}
	return master, slave
}

func TestDiscard(t *testing.T) {
	r, w := newPipe(t)
	done := make(chan error)
	go func() { done <- Discard(t.Context(), r) }()
	if _, err := w.Write(make([]byte, 4<<20)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A container whose readers all died must wait, not get SIGPIPE or EPIPE.
func TestPipeOutlivesItsReaders(t *testing.T) {
	r, w := newPipe(t)
	r.Close()
	if _, err := io.WriteString(w, "nobody reads"); err != nil {
		t.Error(err)
	}
	if flags, err := unix.FcntlInt(w.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x, %v: the container needs a blocking pipe", flags, err)
	}
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("pct-logs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("cannot mount a small tmpfs (needs root): %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	l := open(t, Config{Dir: dir, MaxSize: 300_000, MaxFiles: 1000})
	done := make(chan error)
	for _, s := range []Stream{Stdout, Stderr} {
		r, w := newPipe(t)
		go func() { done <- l.Pump(t.Context(), s, r) }()
		go func() {
			for i := range 50_000 {
				fmt.Fprintf(w, "%s line %d, 60 bytes or so of it, written and kept\n", s, i)
			}
			w.Close()
		}()
	}
	for l.Blocked() == nil {
		time.Sleep(time.Millisecond) // no event tells
	}
	if err := l.Blocked(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("blocked by %v", err)
	}
	time.Sleep(300 * time.Millisecond) // several refused writes
	if err := unix.Mount("pct-logs", dir, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	next := map[string]int{}
	err := Read(t.Context(), dir, all, func(l Line) error {
		name := l.Stream.String()
		if want := fmt.Sprintf("%s line %d, 60 bytes or so of it, written and kept", name, next[name]); string(l.Text) != want {
			return fmt.Errorf("got %q, want %q", l.Text, want)
		}
		next[name]++
		return nil
	})
	if err != nil || next["stdout"] != 50_000 || next["stderr"] != 50_000 {
		t.Errorf("read %v: %v", next, err)
	}
	if err := l.Blocked(); err != nil {
		t.Errorf("still blocked: %v", err)
	}
}
