package supervisor

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/resolver"
)

// TestViewOfReplicas: a name of several containers is answered by those that are ready; where none is, by all, since what is
// slow is better than what is unknown. A container's own name is answered whatever it is.
func TestViewOfReplicas(t *testing.T) {
	topology := pod.Topology{
		Cells: []pod.Cell{
			{Name: "default", Links: []pod.Link{{Network: "default", IPv4: "10.89.0.2/24"}}},
			{Name: "web-2", Links: []pod.Link{{Network: "default", IPv4: "10.89.0.3/24"}}},
			{Name: "client", Links: []pod.Link{{Network: "default", IPv4: "10.89.0.4/24"}}},
		},
		Networks: []pod.Network{{Key: "default", Name: "pct_default"}},
		Members:  []pod.Member{{Container: "p-web-1", Cell: "default"}, {Container: "p-web-2", Cell: "web-2"}, {Container: "p-client-1", Cell: "client"}},
	}
	web := func(replica int) pod.Container {
		return pod.Container{
			Name: fmt.Sprintf("p-web-%d", replica), Service: "web", Replica: replica, Cell: topology.Members[replica-1].Cell,
			Networks: []pod.Attachment{{Network: "default"}}, Listens: []pod.Listen{{Port: 80, Protocol: pod.TCP}},
		}
	}
	one, two := "10.89.0.2", "10.89.0.3"
	for name, c := range map[string]struct {
		ready   map[string]bool
		service []string
		targets []string
	}{
		"all ready":  {map[string]bool{"p-web-1": true, "p-web-2": true}, []string{one, two}, []string{"p-web-1", "p-web-2"}},
		"one ready":  {map[string]bool{"p-web-2": true}, []string{two}, []string{"p-web-2"}},
		"none ready": {nil, []string{one, two}, []string{"p-web-1", "p-web-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := view("client", topology, []pod.Container{web(1), web(2)}, c.ready)
			if got := addresses(v, "web"); !slices.Equal(got, c.service) {
				t.Errorf("web is %v, want %v", got, c.service)
			}
			for own, want := range map[string]string{"p-web-1": one, "web-2": two} {
				if got := addresses(v, own); !slices.Equal(got, []string{want}) {
					t.Errorf("%s is %v, want %s", own, got, want)
				}
			}
			var targets []string
			for _, s := range v.Services["_80._tcp.web"] {
				targets = append(targets, s.Target)
			}
			if !slices.Equal(targets, c.targets) {
				t.Errorf("the service is on %v, want %v", targets, c.targets)
			}
			if got := v.Pointers[netip.MustParseAddr(one)]; got != "p-web-1" {
				t.Errorf("%s is called %q", one, got)
			}
		})
	}
}

// TestViewOfNetworks: a name that several networks have is that of the first of them; with the name of a network behind it it
// is that of this network; and every address that is seen has a name.
func TestViewOfNetworks(t *testing.T) {
	both := func(a, b string) []pod.Link {
		return []pod.Link{{Network: "a", IPv4: "10.89.0." + a + "/24"}, {Network: "b", IPv4: "10.89.1." + b + "/24", IPv6: "fd00::" + b + "/64"}}
	}
	topology := pod.Topology{
		Cells: []pod.Cell{
			{Name: "default", Links: both("2", "2")},
			{Name: "db", Links: both("3", "3")},
			{Name: "pool-a", Links: both("4", "4")[:1]},
			{Name: "pool-b", Links: both("5", "5")[1:]},
		},
		Networks: []pod.Network{{Key: "a", Name: "Pct_a"}, {Key: "b", Name: "pct_b"}},
	}
	on := func(name, cell string, attached ...pod.Attachment) pod.Container {
		return pod.Container{Name: "p-" + name + "-1", Service: name, Replica: 1, Cell: cell, Networks: attached}
	}
	v := view("default", topology, []pod.Container{
		on("db", "db", pod.Attachment{Network: "a"}, pod.Attachment{Network: "b", Aliases: []string{"store"}}),
		on("one", "pool-a", pod.Attachment{Network: "a", Aliases: []string{"pool"}}),
		on("two", "pool-b", pod.Attachment{Network: "b", Aliases: []string{"pool"}}),
	}, nil)
	for name, want := range map[string][]string{
		"db": {"10.89.0.3"}, "db.pct_a": {"10.89.0.3"}, "p-db-1.pct_b": {"10.89.1.3", "fd00::3"}, "db.b": nil,
		"store": {"10.89.1.3", "fd00::3"}, "store.pct_a": nil, "store.pct_b": {"10.89.1.3", "fd00::3"},
		"pool": {"10.89.0.4"}, "pool.pct_b": {"10.89.1.5", "fd00::5"},
	} {
		if got := addresses(v, name); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, ip := range []string{"10.89.0.3", "10.89.1.3", "fd00::3"} {
		if got := v.Pointers[netip.MustParseAddr(ip)]; got != "p-db-1" {
			t.Errorf("%s is called %q", ip, got)
		}
	}
}

func addresses(v resolver.View, name string) []string {
	var all []string
	for _, a := range v.Names[name] {
		all = append(all, a.String())
	}
	return all
}
