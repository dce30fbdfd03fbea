package state

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// Every command that plans has to know which networks other projects have. To read what is remembered of each would cost
// a third of a millisecond a project, so each says it in the target of a link beside: "NAME SUBNET...", a line a network.

// Held are networks by their names on the machine, with their subnets.
type Held map[string][]string

// Held says for each project which networks it has, and had before its last change: what a killed `up` has left may be on
// them still. Nil is that of a project that does not say so: it must be loaded.
func (s *Store) Held() (map[string]Held, error) {
	entries, err := os.ReadDir(filepath.Join(s.root, "projects"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list projects: %w", err)
	}
	all := map[string]Held{}
	for _, e := range entries {
		all[e.Name()] = readHeld(s.Dir(e.Name()))
	}
	return all, nil
}

func heldFile(dir string) string { return filepath.Join(dir, "networks") }

func readHeld(dir string) Held {
	target, err := os.Readlink(heldFile(dir))
	if err != nil {
		return nil
	}
	held := Held{}
	for line := range strings.Lines(target) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		name, err := url.PathUnescape(words[0])
		if err != nil {
			return nil
		}
		held[name] = words[1:]
	}
	return held
}

// add puts networks to those held, and says whether that made a difference.
func (h Held) add(networks []pod.Network) (grew bool) {
	for _, n := range networks {
		subnets, had := h[n.Name]
		grew = grew || !had
		for _, p := range n.Pools {
			if !slices.Contains(subnets, p.Subnet) {
				subnets, grew = append(subnets, p.Subnet), true
			}
		}
		h[n.Name] = subnets
	}
	return grew
}

// write replaces what a project says. It comes before what it says is remembered, and is as safe on disk once that is.
func (h Held) write(dir string) error {
	var lines []string
	for name, subnets := range h {
		lines = append(lines, strings.Join(append([]string{url.PathEscape(name)}, subnets...), " "))
	}
	slices.Sort(lines)
	fresh := heldFile(dir) + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// An empty target is none (symlink(2)), and one that is too long neither: then the project is loaded.
	err := os.Symlink("\n"+strings.Join(lines, "\n"), fresh)
	if err != nil {
		return os.RemoveAll(heldFile(dir))
	}
	return os.Rename(fresh, heldFile(dir))
}
