package logs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// produce writes size bytes of 100-byte lines to stdout: a write(2) each ("line") or 64 KiB at once ("block").
func produce(mode, size string) {
	left, _ := strconv.Atoi(size)
	chunk := append(bytes.Repeat([]byte{'x'}, 99), '\n')
	if mode == "block" {
		chunk = bytes.Repeat(chunk, 655)
	}
	for ; left > 0; left -= len(chunk) {
		os.Stdout.Write(chunk)
	}
	os.Exit(0)
}

// BenchmarkWrite compares a Pump with cat >file behind the same producer, in one run.
func BenchmarkWrite(b *testing.B) {
	const size = 200 << 20
	for _, mode := range []string{"block", "line"} {
		b.Run(mode+"/pump", func(b *testing.B) {
			for b.Loop() {
				l := open(b, Config{Dir: b.TempDir()})
				r, w := newPipe(b)
				start, before := time.Now(), cpu(b)
				wait := producer(b, mode, size, w)
				w.Close()
				if err := l.Pump(b.Context(), Stdout, r); err != nil {
					b.Fatal(err)
				}
				wait()
				b.ReportMetric(float64(size)/1e6/time.Since(start).Seconds(), "MB/s")
				b.ReportMetric(float64(cpu(b)-before)/1e6, "cpu-ms")
			}
		})
		b.Run(mode+"/cat", func(b *testing.B) {
			for b.Loop() {
				out, err := os.Create(filepath.Join(b.TempDir(), "out"))
				if err != nil {
					b.Fatal(err)
				}
				r, w, _ := os.Pipe()
				start := time.Now()
				wait := producer(b, mode, size, w)
				w.Close()
				cat := exec.Command("cat")
				cat.Stdin, cat.Stdout = r, out
				if err := cat.Run(); err != nil {
					b.Fatal(err)
				}
				wait()
				b.ReportMetric(float64((cat.ProcessState.UserTime()+cat.ProcessState.SystemTime()))/1e6, "cpu-ms")
				r.Close()
				out.Close()
				b.ReportMetric(float64(size)/1e6/time.Since(start).Seconds(), "MB/s")
			}
		})
	}
}

// cpu is the processor time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func producer(b *testing.B, mode string, size int, w *os.File) (wait func()) {
	cmd := self(b, "pct-producer", mode, strconv.Itoa(size))
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return func() {
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
	}
}

// bigLog is 200 MB of 100-byte lines in one generation, a record every so many bytes.
func bigLog(b testing.TB, every int) string {
	dir := b.TempDir()
	const size = 200_000_000
	line := append(bytes.Repeat([]byte{'x'}, 99), '\n')
	if err := os.WriteFile(dataPath(dir, 1), bytes.Repeat(line, size/100), 0o600); err != nil {
		b.Fatal(err)
	}
	h := header{at: 1}.encode()
	index := h[:]
	for off := 0; off < size; off += every {
		r := record{offset: int64(off), at: int64(off + 1), stream: Stdout + Stream(off/every/1000%2)}.encode()
		index = append(index, r[:]...)
	}
	if err := os.WriteFile(indexPath(dir, 1), index, 0o600); err != nil {
		b.Fatal(err)
	}
	return dir
}

func BenchmarkRead(b *testing.B) {
	for name, every := range map[string]int{"flood": 100_000, "slow": 100} {
		dir := bigLog(b, every)
		b.Run(name+"/all", func(b *testing.B) {
			b.SetBytes(200_000_000)
			for b.Loop() {
				Read(b.Context(), dir, ReadOptions{Tail: -1}, func(Line) error { return nil })
			}
		})
		b.Run(name+"/tail1", func(b *testing.B) {
			for b.Loop() {
				Read(b.Context(), dir, ReadOptions{Tail: 1}, func(Line) error { return nil })
			}
		})
	}
}
