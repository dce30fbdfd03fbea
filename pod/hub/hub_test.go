package hub_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pcompose/pcompose/pod/hub"
)

// this is a hub for tests: the namespace that they run in, of which a path leads nowhere where its holder was killed.
func this() (*os.File, error) { return os.Open("/proc/self/ns/net") }

func holds(path string) func(*os.File) (string, error) {
	return func(*os.File) (string, error) { return path, nil }
}

func never(t *testing.T) func() (*os.File, error) {
	return func() (*os.File, error) {
		t.Error("a second hub is made")
		return this()
	}
}

func join(t *testing.T, s hub.Seat, make func() (*os.File, error), path string) {
	t.Helper()
	f, err := s.Join("pod", nil, make, holds(path))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestPodsKnowEachOther(t *testing.T) {
	dir := t.TempDir()
	a, b := hub.NewSeat(dir, "a/b", "one"), hub.NewSeat(dir, "a/b", "two")
	join(t, a, this, "/proc/self/ns/net")
	join(t, b, never(t), "/proc/self/ns/net")
	web := hub.Resident{Container: "web-1", Names: []string{"web"}, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Service: "web"}
	for range 2 {
		if err := a.Tell([]hub.Resident{web}); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Residents(); len(got) != 1 || got[0].Container != "web-1" || got[0].Addrs[0] != web.Addrs[0] {
		t.Errorf("b sees %v", got)
	}
	if got := a.Residents(); len(got) != 0 {
		t.Errorf("a sees %v, which is itself", got)
	}
	// It joins again, as after its supervisor's death, and what it told stays.
	join(t, a, never(t), "/proc/self/ns/net")
	if got := b.Residents(); len(got) != 1 {
		t.Errorf("b sees %v", got)
	}
	if got := hub.NewSeat(dir, "other", "two").Residents(); len(got) != 0 {
		t.Errorf("another network has %v", got)
	}
	for range 2 {
		if err := a.Leave(); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Residents(); len(got) != 0 {
		t.Errorf("b sees %v, who left", got)
	}
	for range 2 {
		if err := hub.LeaveAll(dir, "two"); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestTheKilledAreGone: a pod whose hub cannot be opened any more has no names and no hub, and its seat goes with the last
// that leaves.
func TestTheKilledAreGone(t *testing.T) {
	dir := t.TempDir()
	dead, other, live := hub.NewSeat(dir, "n", "a"), hub.NewSeat(dir, "n", "b"), hub.NewSeat(dir, "n", "c")
	join(t, dead, this, filepath.Join(dir, "nowhere"))
	// A number that was given again leads to something else.
	join(t, other, this, "/dev/null")
	if err := errors.Join(dead.Tell([]hub.Resident{{Container: "ghost"}}), other.Tell([]hub.Resident{{Container: "ghost"}})); err != nil {
		t.Fatal(err)
	}
	made := 0
	join(t, live, func() (*os.File, error) { made++; return this() }, "/proc/self/ns/net")
	if got := live.Residents(); made != 1 || len(got) != 0 {
		t.Errorf("%d hubs made, it sees %v", made, got)
	}
	// A hub of its own that the keeper still holds is taken rather than made.
	held, err := this()
	if err != nil {
		t.Fatal(err)
	}
	got, err := live.Join("pod", held, never(t), holds("/proc/self/ns/net"))
	if err != nil || got != held {
		t.Errorf("%v, %v; want the one it holds", got, err)
	}
	if err := live.Leave(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestOneHub: pods that come and go at once make one hub at a time, and none loses its seat to another that leaves.
func TestOneHub(t *testing.T) {
	dir := t.TempDir()
	var present, hubs atomic.Int32
	var all sync.WaitGroup
	for _, id := range []string{"a", "b", "c", "d"} {
		all.Go(func() {
			s := hub.NewSeat(dir, "n", id)
			for range 50 {
				f, err := s.Join(id, nil, func() (*os.File, error) {
					if present.Load() > 0 && hubs.Load() > 0 {
						t.Error("a hub is made beside one that is there")
					}
					hubs.Store(1)
					return this()
				}, func(*os.File) (string, error) { present.Add(1); return "/proc/self/ns/net", nil })
				if err != nil {
					t.Error(err)
					return
				}
				f.Close()
				if err := s.Tell([]hub.Resident{{Container: id}}); err != nil {
					t.Error(err)
				}
				s.Residents()
				present.Add(-1)
				if err := s.Leave(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestFailure: who cannot join leaves nothing open and no seat that others would count.
func TestFailure(t *testing.T) {
	dir := t.TempDir()
	s, why := hub.NewSeat(dir, "n", "a"), errors.New("had enough")
	if _, err := s.Join("pod", nil, this, func(*os.File) (string, error) { return "", why }); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	if _, err := s.Join("pod", nil, func() (*os.File, error) { return nil, why }, holds("")); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	made := false
	join(t, hub.NewSeat(dir, "n", "b"), func() (*os.File, error) { made = true; return this() }, "/proc/self/ns/net")
	if !made {
		t.Error("a hub was found that nobody has")
	}
}
