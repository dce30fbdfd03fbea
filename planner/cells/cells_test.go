package cells_test

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pcompose/pcompose/planner/cells"
	"github.com/pcompose/pcompose/pod"
)

// TestPlan compares the cells of each case of testdata. A case's comment says what is promised; its file "pod" has
// containers and networks, "before" those that were, "images" what images expose, "denied" what could not be bound (NAME PORT HOLDER); "want" is what comes out.
func TestPlan(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var spec pod.Spec
			var before *pod.Spec
			images := map[string]pod.Image{}
			for _, f := range archive.Files {
				switch f.Name {
				case "pod":
					spec = parse(t, string(f.Data))
				case "denied":
					spec.Denied = denied(t, string(f.Data))
				case "images":
					for _, c := range parse(t, string(f.Data)).Containers {
						images[c.Name] = pod.Image{Listens: c.Listens}
					}
				case "before":
					b, err := cells.Plan(parse(t, string(f.Data)), images, nil)
					if err != nil {
						t.Fatal(err)
					}
					before = &b
				}
			}
			got := show(cells.Plan(spec, images, before))
			last := &archive.Files[len(archive.Files)-1]
			if last.Name != "want" {
				t.Fatalf("the last file is %q, not want", last.Name)
			}
			if got == string(last.Data) {
				return
			}
			if os.Getenv("UPDATE") == "" {
				t.Fatalf("got:\n%s\nwant:\n%s", got, last.Data)
			}
			last.Data = []byte(got)
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// parse reads lines: "network KEY [subnet=P] [range=P] [gateway=A] [reserved=A] [mtu=N] [route=P] [internal] [ipv6]", or a container's name
// and words: a port, @network[=address], mode=M, image=I, own, shared, cap=C, sysctl=S, dns=S, priority=N, publish=PORT.
func parse(t *testing.T, text string) pod.Spec {
	var spec pod.Spec
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "network" {
			spec.Networks = append(spec.Networks, network(words[1:]))
			continue
		}
		c := pod.Container{Name: words[0], Service: words[0]}
		for _, w := range words[1:] {
			container(t, &c, w)
		}
		spec.Containers = append(spec.Containers, c)
	}
	return spec
}

// denied reads lines: who could not bind which port, and who had it.
func denied(t *testing.T, text string) []pod.Denial {
	var all []pod.Denial
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		port, err := strconv.ParseUint(words[1], 10, 16)
		if err != nil {
			t.Fatalf("cannot read %q", line)
		}
		all = append(all, pod.Denial{Container: words[0], Service: words[0], Listen: pod.Listen{Port: uint16(port), Protocol: pod.TCP}, By: words[2]})
	}
	return all
}

func network(words []string) pod.Network {
	n := pod.Network{Key: words[0]}
	var p pod.Pool
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "subnet":
			p.Subnet = value
		case "range":
			p.Range = value
		case "gateway":
			p.Gateway = value
		case "reserved":
			p.Reserved = append(p.Reserved, value)
		case "mtu":
			n.MTU, _ = strconv.Atoi(value)
		case "route":
			n.Routes = append(n.Routes, pod.Route{Destination: value})
		case "internal":
			n.Internal = true
		case "ipv6":
			n.IPv6 = true
		}
	}
	if p.Subnet != "" {
		n.Pools = []pod.Pool{p}
	}
	return n
}

func container(t *testing.T, c *pod.Container, word string) {
	key, value, _ := strings.Cut(word, "=")
	switch {
	case key == "publish":
		port, _ := strconv.Atoi(value)
		c.Ports = append(c.Ports, pod.Port{Container: c.Name, HostPort: uint16(port), ContainerPort: uint16(port), Protocol: pod.TCP})
	case strings.HasPrefix(word, "@"):
		c.Networks = append(c.Networks, pod.Attachment{Network: key[1:], IPv4: value})
	case key == "mode":
		c.NetworkMode = pod.NetworkMode(value)
	case key == "image":
		c.Image = value
	case key == "own", key == "shared":
		c.Sharing = pod.Sharing(key)
	case key == "cap":
		c.Isolation.CapAdd = append(c.Isolation.CapAdd, value)
	case key == "dns":
		c.DNS.Servers = append(c.DNS.Servers, value)
	case key == "sysctl":
		c.Isolation.Sysctls = map[string]string{value: "1"}
	case key == "priority":
		c.Networks[len(c.Networks)-1].GatewayPriority, _ = strconv.Atoi(value)
	default:
		number, protocol, udp := strings.Cut(word, "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			t.Fatalf("cannot read %q", word)
		}
		if !udp {
			protocol = pod.TCP
		}
		c.Listens = append(c.Listens, pod.Listen{Port: uint16(port), Protocol: protocol})
	}
}

// show prints the cells with their containers, links and subnets.
func show(spec pod.Spec, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, c := range spec.Cells {
		var in []string
		for _, m := range spec.Containers {
			if m.Cell == c.Name {
				in = append(in, m.Name)
			}
		}
		fmt.Fprintf(&b, "%s: %s", c.Name, strings.Join(in, " "))
		if c.Why != "" {
			fmt.Fprintf(&b, " (%s)", c.Why)
		}
		if !c.Resolver && c.Mode == "" {
			b.WriteString(" without resolver")
		}
		b.WriteString("\n")
		for _, l := range c.Links {
			fmt.Fprintf(&b, "  %s %s %s", l.Network, l.Interface, l.IPv4)
			if l.IPv6 != "" {
				fmt.Fprintf(&b, " %s", l.IPv6)
			}
			if l.Default {
				b.WriteString(" default")
			}
			if l.Default6 {
				b.WriteString(" default6")
			}
			b.WriteString("\n")
		}
	}
	for _, n := range spec.Networks {
		for _, p := range n.Pools {
			fmt.Fprintf(&b, "%s %s by %s\n", n.Key, p.Subnet, p.Gateway)
		}
	}
	return b.String()
}

// TestFewest holds the cells of random pods against every division that there is: no promise is broken, and no smaller
// division keeps them all.
func TestFewest(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for range 400 {
		spec := pod.Spec{Networks: []pod.Network{{Key: "a"}, {Key: "b"}}}
		for i := range 1 + random.Intn(7) {
			c := pod.Container{Name: fmt.Sprintf("c%d", i), Networks: []pod.Attachment{{Network: "a"}}}
			if random.Intn(4) == 0 {
				c.Networks = []pod.Attachment{{Network: "b"}}
			}
			for range random.Intn(3) {
				c.Listens = append(c.Listens, pod.Listen{Port: uint16(80 + random.Intn(4)), Protocol: pod.TCP})
			}
			if random.Intn(8) == 0 {
				c.Isolation.CapAdd = []string{"NET_ADMIN"}
			}
			spec.Containers = append(spec.Containers, c)
		}
		got, err := cells.Plan(spec, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		in := map[string][]pod.Container{}
		for _, c := range got.Containers {
			in[c.Cell] = append(in[c.Cell], c)
		}
		for name, together := range in {
			if !allowed(together) {
				t.Fatalf("cell %s breaks a promise:\n%s", name, show(got, nil))
			}
		}
		if fewest := bruteForce(spec.Containers, nil); len(in) > fewest {
			t.Fatalf("%d cells, and %d would do:\n%s", len(in), fewest, show(got, nil))
		}
	}
}

// allowed says whether containers may be in one cell.
func allowed(together []pod.Container) bool {
	for i, a := range together {
		for _, b := range together[:i] {
			if a.Networks[0].Network != b.Networks[0].Network || a.Isolation.CapAdd != nil || b.Isolation.CapAdd != nil {
				return false
			}
			for _, l := range a.Listens {
				if slices.Contains(b.Listens, l) {
					return false
				}
			}
		}
	}
	return true
}

// bruteForce is the least number of cells for the containers that are left, beside those that are made.
func bruteForce(left []pod.Container, made [][]pod.Container) int {
	if len(left) == 0 {
		return len(made)
	}
	best := bruteForce(left[1:], append(slices.Clone(made), left[:1]))
	for i, cell := range made {
		if with := append(slices.Clone(cell), left[0]); allowed(with) {
			other := slices.Clone(made)
			other[i] = with
			best = min(best, bruteForce(left[1:], other))
		}
	}
	return best
}

// TestStays adds and removes containers at random: whoever was there, and breaks no promise where it is, stays in its
// cell with its addresses; the same input gives the same cells.
func TestStays(t *testing.T) {
	random := rand.New(rand.NewSource(2))
	var before *pod.Spec
	for range 300 {
		spec := pod.Spec{Networks: []pod.Network{{Key: "a"}, {Key: "b"}}}
		for i := range 8 {
			if random.Intn(4) == 0 {
				continue
			}
			c := pod.Container{Name: fmt.Sprintf("c%d", i), Networks: []pod.Attachment{{Network: []string{"a", "b"}[i%2]}}}
			c.Listens = []pod.Listen{{Port: uint16(80 + i/4), Protocol: pod.TCP}}
			spec.Containers = append(spec.Containers, c)
		}
		got, err := cells.Plan(spec, nil, before)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := cells.Plan(spec, nil, before); show(got, nil) != show(again, nil) {
			t.Fatalf("another plan the second time:\n%s\n%s", show(got, nil), show(again, nil))
		}
		if before != nil {
			for _, c := range got.Containers {
				if was, ok := before.Container(c.Name); ok && was.Cell != c.Cell {
					t.Fatalf("%s moved from %s to %s:\n%s\n%s", c.Name, was.Cell, c.Cell, show(*before, nil), show(got, nil))
				}
			}
			for _, c := range got.Cells {
				i := slices.IndexFunc(before.Cells, func(b pod.Cell) bool { return b.Name == c.Name })
				for _, l := range c.Links {
					if i >= 0 && slices.ContainsFunc(before.Cells[i].Links, func(b pod.Link) bool { return b.Network == l.Network && b.IPv4 != l.IPv4 }) {
						t.Fatalf("cell %s lost its address:\n%s\n%s", c.Name, show(*before, nil), show(got, nil))
					}
				}
			}
		}
		before = &got
	}
}

// TestDenied remembers random collisions of pods that run: nobody moves but who could not bind, nobody shares a cell with
// whom it could not bind beside, and the next plan moves nobody.
func TestDenied(t *testing.T) {
	random := rand.New(rand.NewSource(3))
	for range 300 {
		spec := pod.Spec{Networks: []pod.Network{{Key: "a"}}}
		for i := range 2 + random.Intn(6) {
			c := pod.Container{Name: fmt.Sprintf("c%d", i), Networks: []pod.Attachment{{Network: "a"}}}
			if random.Intn(3) == 0 {
				c.Listens = []pod.Listen{{Port: uint16(80 + random.Intn(3)), Protocol: pod.TCP}}
			}
			spec.Containers = append(spec.Containers, c)
		}
		before, err := cells.Plan(spec, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		lost := map[string]bool{}
		for range 1 + random.Intn(3) {
			a, b := before.Containers[random.Intn(len(spec.Containers))], before.Containers[random.Intn(len(spec.Containers))]
			if a.Name == b.Name || a.Cell != b.Cell {
				continue
			}
			lost[a.Name] = true
			spec.Denied = append(spec.Denied, pod.Denial{Container: a.Name, Listen: pod.Listen{Port: uint16(80 + random.Intn(3)), Protocol: pod.TCP}, By: b.Name})
		}
		got, err := cells.Plan(spec, nil, &before)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got.Containers {
			if was, _ := before.Container(c.Name); was.Cell != c.Cell && !lost[c.Name] {
				t.Fatalf("%s moved from %s to %s, denied %v:\n%s\n%s", c.Name, was.Cell, c.Cell, spec.Denied, show(before, nil), show(got, nil))
			}
		}
		for _, d := range spec.Denied {
			a, _ := got.Container(d.Container)
			if b, _ := got.Container(d.By); a.Cell == b.Cell {
				t.Fatalf("%s is with %s still, denied %v:\n%s", a.Name, b.Name, spec.Denied, show(got, nil))
			}
		}
		if again, _ := cells.Plan(spec, nil, &got); show(again, nil) != show(got, nil) {
			t.Fatalf("another plan the second time, denied %v:\n%s\n%s", spec.Denied, show(got, nil), show(again, nil))
		}
	}
}

// BenchmarkPlan is the cells of 200 services: of one port each, and of ports that are hard to divide.
func BenchmarkPlan(b *testing.B) {
	for name, port := range map[string]func(i int) []int{
		"own":  func(i int) []int { return []int{i} },
		"one":  func(int) []int { return []int{80} },
		"hard": func(i int) []int { return []int{i % 41, i * i % 83, i * i * i % 97} },
	} {
		b.Run(name, func(b *testing.B) {
			var spec pod.Spec
			spec.Networks = []pod.Network{{Key: "a"}}
			for i := range 200 {
				c := pod.Container{Name: fmt.Sprintf("c%03d", i), Networks: []pod.Attachment{{Network: "a"}}}
				for _, p := range port(i) {
					c.Listens = append(c.Listens, pod.Listen{Port: uint16(p + 1), Protocol: pod.TCP})
				}
				spec.Containers = append(spec.Containers, c)
			}
			for b.Loop() {
				if _, err := cells.Plan(spec, nil, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
