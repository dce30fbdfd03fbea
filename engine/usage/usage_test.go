package usage

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

func files(t *testing.T, name string) fs.FS {
	t.Helper()
	a, err := txtar.ParseFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	f := fstest.MapFS{}
	for _, file := range a.Files {
		f[file.Name] = &fstest.MapFile{Data: file.Data}
	}
	return f
}

// Both versions' files of one container say the same.
func TestCgroup(t *testing.T) {
	want := Sample{CPU: 1500 * time.Millisecond, Memory: 8 << 20, PIDs: 3, Read: 5096, Written: 8216}
	for _, name := range []string{"v2.txtar", "v1.txtar"} {
		got, err := Cgroup(files(t, name), "/pod/c1")
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if _, err := Cgroup(files(t, name), "/pod/gone"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: of a container that is gone: %v", name, err)
		}
	}
}

func TestCPUShare(t *testing.T) {
	at := time.Unix(100, 0)
	a, b := Sample{At: at, CPU: time.Second}, Sample{At: at.Add(time.Second), CPU: 2500 * time.Millisecond}
	if got := CPUShare(a, b); got != 150 {
		t.Error(got)
	}
	if got := CPUShare(b, a) + CPUShare(a, a); got != 0 {
		t.Error(got)
	}
}

func TestNetwork(t *testing.T) {
	var s Sample
	s.Network(`Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     999       9    0    0    0     0          0         0      999       9    0    0    0     0       0          0
  eth0:    1620      20    0    0    0     0          0         0      126       3    0    0    0     0       0          0
`)
	if s.Received != 1620 || s.Sent != 126 {
		t.Errorf("%+v", s)
	}
	if got := MemTotal("MemTotal:       24680000 kB\nMemFree: 1 kB\n"); got != 24680000<<10 {
		t.Error(got)
	}
}
