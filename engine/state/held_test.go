package state_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
)

// TestHeld: a project says which networks it has, and those before until its next change is done; one that cannot say so is
// to be loaded.
func TestHeld(t *testing.T) {
	s := state.New(t.TempDir(), t.TempDir())
	network := func(name string, subnets ...string) pod.Network {
		n := pod.Network{Name: name}
		for _, subnet := range subnets {
			n.Pools = append(n.Pools, pod.Pool{Subnet: subnet})
		}
		return n
	}
	remember := func(networks ...pod.Network) {
		t.Helper()
		e, err := s.Edit("shop")
		if err == nil {
			err = e.Change(func(p *state.Project) { p.Spec.Networks = networks })
		}
		if err == nil {
			err = e.Change(func(p *state.Project) { p.Kept = nil })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, held state.Held) {
		t.Helper()
		all, err := s.Held()
		if err != nil || len(all) > 1 || !reflect.DeepEqual(all["shop"], held) {
			t.Errorf("%s: %v, %v; want %v", what, all, err, held)
		}
	}
	all, err := s.Held()
	if err != nil || len(all) != 0 {
		t.Errorf("nothing is there, and %v, %v", all, err)
	}
	remember()
	want("none", state.Held{})
	remember(network("a b", "10.1.0.0/24", "fd00::/64"), network("plain"))
	want("two", state.Held{"a b": {"10.1.0.0/24", "fd00::/64"}, "plain": {}})
	remember(network("other", "10.2.0.0/24"))
	want("during the change", state.Held{"a b": {"10.1.0.0/24", "fd00::/64"}, "plain": {}, "other": {"10.2.0.0/24"}})
	remember(network("other", "10.2.0.0/24"))
	want("after it", state.Held{"other": {"10.2.0.0/24"}})
	remember(network(strings.Repeat("long", 2000)))
	want("too long for a link", nil)
	if err := os.Remove(filepath.Join(s.Dir("shop"), "networks")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	want("of an older version", nil)
}

// BenchmarkHeld is what 200 other projects cost a command.
func BenchmarkHeld(b *testing.B) {
	s := state.New(b.TempDir(), b.TempDir())
	for i := range 200 {
		e, err := s.Edit(fmt.Sprintf("p%d", i))
		if err == nil {
			err = e.Change(func(p *state.Project) {
				p.Spec.Networks = []pod.Network{{Name: fmt.Sprintf("p%d_default", i), Pools: []pod.Pool{{Subnet: "10.210.7.0/24"}}}}
			})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if held, err := s.Held(); err != nil || len(held) != 200 {
			b.Fatal(len(held), err)
		}
	}
}
