package planner_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// onNetworks is a pod of one container on these networks.
func onNetworks(networks ...pod.Network) pod.Spec {
	c := pod.Container{Name: "shop-web-1", Service: "web", Image: "web", Replica: 1, Cell: pod.DefaultCell}
	for _, n := range networks {
		c.Networks = append(c.Networks, pod.Attachment{Network: n.Key})
	}
	return pod.Spec{Name: "shop", Cells: []pod.Cell{{Name: pod.DefaultCell}}, Networks: networks, Containers: []pod.Container{c}}
}

func elsewhere(n pod.Network) pod.Found {
	n.Pools = []pod.Pool{{Subnet: "10.9.0.0/24", Gateway: "10.9.0.1"}}
	n.Taken = map[string]string{"10.9.0.2": "db-1 of project other"}
	return pod.Found{Network: n, Made: true}
}

// notes are a plan's, a line each.
func notes(plan *planner.Plan) string {
	var all []string
	for _, n := range plan.Notes {
		all = append(all, n.String())
	}
	return strings.Join(all, "\n")
}

// TestJoin: what a network of the pod is, by what others have of its name.
func TestJoin(t *testing.T) {
	image := map[string]pod.Image{"web": {ID: "1"}}
	subnet := func(s string) []pod.Pool { return []pod.Pool{{Subnet: s}} }
	made := elsewhere(pod.Network{Name: "net", Internal: true, MTU: 1400})
	owned, joined := made, made
	owned.Made, owned.Owner = false, "other"
	joined.Made, joined.Users = false, []string{"other"}
	external, own := pod.Network{Key: "a", Name: "net", External: true}, pod.Network{Key: "a", Name: "net"}
	static := onNetworks(external)
	static.Containers[0].Networks[0].IPv4 = "10.9.0.2"
	wide := own
	wide.Pools = subnet("10.9.0.0/16")
	other := pod.Network{Key: "b", Name: "shop_b", Pools: subnet("10.9.0.128/25")}
	for name, c := range map[string]struct {
		spec pod.Spec
		// found is what others have, address the pod's own; else the error, or the note.
		found         *pod.Found
		address, want string
	}{
		"nobody has it":            {spec: onNetworks(external), want: "declared as external, but could not be found"},
		"a command made it":        {spec: onNetworks(external), found: &made, address: "10.9.0.3/24"},
		"another project has it":   {spec: onNetworks(own), found: &owned, address: "10.9.0.3/24", want: `exists but was not created for project "shop"`},
		"others joined it":         {spec: onNetworks(own), found: &joined, address: "10.9.0.3/24"},
		"others joined another":    {spec: onNetworks(wide), found: &joined, want: `other is on it with 10.9.0.0/24`},
		"its address is another's": {spec: static, found: &made, want: "cannot give address 10.9.0.2 on network \"a\": db-1 of project other has it"},
		"it overlaps":              {spec: onNetworks(external, other), found: &made, want: `networks "net" and "shop_b": their subnets 10.9.0.0/24 and 10.9.0.128/25 overlap`},
		"its own":                  {spec: onNetworks(own)},
	} {
		t.Run(name, func(t *testing.T) {
			observed := pod.Status{Name: "shop", Images: image}
			if c.found != nil {
				observed.Networks = map[string]pod.Found{"net": *c.found}
			}
			plan, err := planner.Up(c.spec, observed, planner.UpOptions{})
			said := ""
			if err != nil {
				said = err.Error()
			} else {
				said = notes(plan)
			}
			if !strings.Contains(said, c.want) || c.want == "" && said != "" {
				t.Fatalf("says %q, want %q", said, c.want)
			}
			if err != nil {
				return
			}
			n, address := plan.Pod.Networks[0], ""
			for _, cell := range plan.Pod.Cells {
				for _, l := range cell.Links {
					address = l.IPv4
				}
			}
			if address != c.address || n.Shared != (c.found != nil) {
				t.Errorf("address is %q, want %q; network %+v", address, c.address, n)
			}
			if c.found != nil && !c.found.Made && c.found.Owner == "" && (n.Internal || n.MTU != 0) {
				t.Errorf("the file's own network is what others say: %+v", n)
			}
		})
	}
}

// TestShare: a pod whose network another joins gets addresses there, clear of what there is, and no container is touched;
// done again, nothing is.
func TestShare(t *testing.T) {
	spec := onNetworks(pod.Network{Key: "default", Name: "shop_default"})
	have := pod.Status{Name: "shop", Up: true, Spec: &spec, Topology: spec.Topology(), Elsewhere: []string{"10.210.0.0/24"},
		Containers: []pod.ContainerStatus{{Container: spec.Containers[0], Run: pod.Run{State: pod.StateRunning}}}}
	want := pod.Spec{Name: "blog", Networks: []pod.Network{{Key: "x", Name: "shop_default", External: true}}}
	found := pod.Status{Networks: map[string]pod.Found{"shop_default": {Network: spec.Networks[0], Owner: "shop"}}}
	if got := planner.Unshared(want, found); len(got) != 1 || len(got["shop"]) != 1 {
		t.Fatalf("unshared are %v", got)
	}
	plan, err := planner.Share(have, []string{"shop_default"}, "project blog")
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.String(); got != "[] -> #1 pod/shop connect: project blog joins network shop_default\n" {
		t.Errorf("plan is %s", got)
	}
	if l := plan.Pod.Cells[0].Links; len(l) != 1 || l[0].IPv4 != "10.210.1.2/24" || !plan.Pod.Networks[0].Shared {
		t.Errorf("it becomes %+v on %+v", plan.Pod.Cells, plan.Pod.Networks)
	}
	have.Spec, have.Topology = &plan.Pod, plan.Pod.Topology()
	if plan, err = planner.Share(have, []string{"shop_default"}, "project blog"); err != nil || !plan.Empty() {
		t.Errorf("again: %v, %v", plan, err)
	}
	// While it runs it stays what it is, though the file knows nothing of it and nobody is there any more.
	have.Images = map[string]pod.Image{"web": {ID: ""}}
	if plan, err = planner.Up(onNetworks(pod.Network{Key: "default", Name: "shop_default"}), have, planner.UpOptions{}); err != nil || !plan.Empty() {
		t.Errorf("up: %v, %v", plan, err)
	}
}

// TestJoinContainer: who joins the network of a container of another project is in a cell that leads there, stays while that
// is the same, and is made anew with it; without it nothing is done.
func TestJoinContainer(t *testing.T) {
	spec := pod.Spec{Name: "side", Cells: []pod.Cell{{Name: pod.DefaultCell}},
		Containers: []pod.Container{{Name: "side-app-1", Service: "app", Replica: 1, Image: "web", NetworkMode: "container:shop-web-1"}}}
	observed := pod.Status{Name: "side", Images: map[string]pod.Image{"web": {ID: "1"}}}
	owner := pod.Owner{Project: "shop", Service: "web", Runs: true, Joined: pod.Joined{Path: "/run/shop/cells/default", Instance: "7"}}
	up := func(owner *pod.Owner, opt planner.UpOptions) (*planner.Plan, error) {
		observed.Owners = nil
		if owner != nil {
			observed.Owners = map[string]pod.Owner{"shop-web-1": *owner}
		}
		return planner.Up(spec, observed, opt)
	}
	if _, err := up(nil, planner.UpOptions{}); err == nil || !strings.Contains(err.Error(), "which does not exist") {
		t.Errorf("without the other: %v", err)
	}
	stopped := owner
	stopped.Runs = false
	if _, err := up(&stopped, planner.UpOptions{}); err == nil || !strings.Contains(err.Error(), "pcompose -p shop start web") {
		t.Errorf("beside one that is stopped: %v", err)
	}
	plan, err := up(&owner, planner.UpOptions{})
	if err != nil {
		t.Fatal(err)
	}
	joined := func(plan *planner.Plan) (instances []string) {
		for _, c := range plan.Pod.Cells {
			if c.Mode == "container:shop-web-1" {
				instances = append(instances, c.Joined.Instance)
			}
		}
		return instances
	}
	if got := joined(plan); len(got) != 1 || got[0] != "7" || plan.Pod.Containers[0].Cell == pod.DefaultCell {
		t.Fatalf("it is in %q of %+v", plan.Pod.Containers[0].Cell, plan.Pod.Cells)
	}
	observed.Up, observed.Spec, observed.Topology = true, &plan.Pod, plan.Pod.Topology()
	observed.Containers = []pod.ContainerStatus{{Container: plan.Pod.Containers[0], ImageID: "1", Run: pod.Run{State: pod.StateRunning}}}
	if plan, err = up(&owner, planner.UpOptions{}); err != nil || !plan.Empty() {
		t.Errorf("the second time: %v, %v", plan, err)
	}
	owner.Instance = "8"
	if plan, err = up(&owner, planner.UpOptions{Recreate: planner.RecreateNone}); err != nil || !strings.Contains(notes(plan), "`up` makes it anew") || joined(plan)[0] != "7" {
		t.Errorf("nobody may be made anew: %v, %v, %v", plan, err, joined(plan))
	}
	if plan, err = up(&owner, planner.UpOptions{}); err != nil || len(joined(plan)) != 1 || joined(plan)[0] != "8" || !strings.Contains(plan.String(), "side-app-1 remove") {
		t.Errorf("with another network: %v, %v", plan, err)
	}
}

// TestEndpointSysctls: what is set when a container is made takes a new one; other changes of its place on a network do not.
func TestEndpointSysctls(t *testing.T) {
	spec := onNetworks(pod.Network{Key: "a", Name: "shop_a"})
	place := &spec.Containers[0].Networks[0]
	place.Sysctls = map[string]string{"net.ipv4.conf.IFNAME.log_martians": "1"}
	observed := pod.Status{Name: "shop", Images: map[string]pod.Image{"web": {ID: "1"}}}
	plan, err := planner.Up(spec, observed, planner.UpOptions{})
	if err != nil {
		t.Fatal(err)
	}
	observed.Up, observed.Spec, observed.Topology = true, &plan.Pod, plan.Pod.Topology()
	have := plan.Pod.Containers[0]
	have.Networks = slices.Clone(have.Networks)
	observed.Containers = []pod.ContainerStatus{{Container: have, ImageID: "1", Run: pod.Run{State: pod.StateRunning}}}
	place.Aliases = []string{"shop"}
	if plan, err = planner.Up(spec, observed, planner.UpOptions{}); err != nil || strings.Contains(plan.String(), "remove") || plan.Empty() {
		t.Errorf("another alias: %v, %v", plan, err)
	}
	place.Sysctls = map[string]string{"net.ipv4.conf.IFNAME.log_martians": "0"}
	if plan, err = planner.Up(spec, observed, planner.UpOptions{}); err != nil || !strings.Contains(plan.String(), "sysctls of a network's interface changed") {
		t.Errorf("another sysctl: %v, %v", plan, err)
	}
}

func TestNewNetwork(t *testing.T) {
	there := []pod.Network{{Name: "old", Pools: []pod.Pool{{Subnet: "10.210.0.0/24"}}}}
	for _, c := range []struct {
		pools []pod.Pool
		name  string
		want  string
	}{
		{nil, "new", "10.210.1.0/24 10.210.1.1"},
		{[]pod.Pool{{Subnet: "10.9.0.0/24", Range: "10.9.0.128/25", Gateway: "10.9.0.254"}}, "new", "10.9.0.0/24 10.9.0.254"},
		{nil, "old", "it exists already"},
		{[]pod.Pool{{Subnet: "10.210.0.0/16"}}, "new", `overlaps 10.210.0.0/24 of network "old"`},
		{[]pod.Pool{{Subnet: "10.9.0.1/24"}}, "new", "is no subnet"},
		{[]pod.Pool{{Subnet: "here"}}, "new", "is no subnet"},
		{[]pod.Pool{{Subnet: "10.9.0.0/24"}, {Subnet: "10.9.0.0/16"}}, "new", "overlap"},
		{[]pod.Pool{{Subnet: "10.9.0.0/24", Range: "10.8.0.0/25"}}, "new", "is no part of subnet"},
		{[]pod.Pool{{Subnet: "10.9.0.0/24", Gateway: "10.8.0.1"}}, "new", "is not in subnet"},
	} {
		n, err := planner.NewNetwork(pod.Network{Name: c.name, Pools: c.pools}, there)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = n.Pools[0].Subnet + " " + n.Pools[0].Gateway
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%v: %s, want %s", c.pools, got, c.want)
		}
	}
}
