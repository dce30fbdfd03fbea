package planner

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/planner/cells"
	"github.com/pcompose/pcompose/pod"
)

// found says whether an external network is there: others have it, or this pod has been on it since before they left.
func (ch division) found(n pod.Network) bool {
	_, ok := ch.observed.Networks[n.Name]
	return ok || ch.asFound || ch.before(n) != nil
}

// before is a shared network as the pod that runs has it; nil where it has not.
func (ch division) before(n pod.Network) *pod.Network {
	if was := ch.observed.Spec; was != nil && ch.observed.Up {
		same := func(o pod.Network) bool { return o.Shared && o.Name == n.Name }
		if i := slices.IndexFunc(was.Networks, same); i >= 0 {
			return &was.Networks[i]
		}
	}
	return nil
}

// join makes the networks that other pods are on what they are there. A network is shared that is external, that others
// have joined, or that somebody else made under the same name; one that was shared stays so while the pod runs.
func (ch division) join() error {
	if ch.asFound {
		return nil // they are as they were
	}
	ch.networks = slices.Clone(ch.networks)
	var errs []error
	for i := range ch.networks {
		n := &ch.networks[i]
		other, found := ch.observed.Networks[n.Name]
		was := ch.before(*n)
		n.Shared = found || was != nil
		switch {
		case found && (n.External || other.Made || other.Owner != ""):
			if !n.External {
				note(ch.choice, "a network with name %s exists but was not created for project %q: set `external: true` to use an existing network", n.Name, ch.desired.Name)
			}
			adopt(n, other.Network)
			n.External = true
		case found:
			errs = append(errs, agree(n, other))
		case n.External && was != nil:
			adopt(n, *was)
		}
		n.Taken = other.Network.Taken
	}
	return errors.Join(append(errs, disjoint(ch.networks))...)
}

// adopt makes a network what it is elsewhere.
func adopt(n *pod.Network, from pod.Network) {
	n.Internal, n.Pools, n.NoIPv4, n.IPv6, n.MTU = from.Internal, from.Pools, from.NoIPv4, from.IPv6, from.MTU
}

// agree makes the pools of a network of the project's own those that others on it have. A file that wants others is
// refused: an address would mean two things.
func agree(n *pod.Network, other pod.Found) error {
	for _, p := range n.Pools {
		same := func(o pod.Pool) bool { return o.Subnet == p.Subnet }
		if len(other.Network.Pools) > 0 && !slices.ContainsFunc(other.Network.Pools, same) {
			var have []string
			for _, o := range other.Network.Pools {
				have = append(have, o.Subnet)
			}
			return fmt.Errorf("cannot give network %q the subnet %s: %s %s on it with %s: write that subnet, or take them down first",
				n.Name, p.Subnet, strings.Join(other.Users, ", "), isOrAre(len(other.Users)), strings.Join(have, ", "))
		}
	}
	if len(other.Network.Pools) > 0 {
		n.Pools = other.Network.Pools
	}
	return nil
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// disjoint refuses two networks of one subnet that no file could have told: at least one of them is others'.
func disjoint(networks []pod.Network) error {
	var errs []error
	for i, a := range networks {
		for _, b := range networks[:i] {
			if p, q, ok := overlap(a, b); ok && (a.Shared || b.Shared) {
				errs = append(errs, fmt.Errorf("cannot put one pod on networks %q and %q: their subnets %s and %s overlap: give one of them another in its ipam, or in `pcompose network create --subnet`", b.Name, a.Name, q, p))
			}
		}
	}
	return errors.Join(errs...)
}

func overlap(a, b pod.Network) (p, q netip.Prefix, ok bool) {
	for _, x := range a.Pools {
		for _, y := range b.Pools {
			p, errP := netip.ParsePrefix(x.Subnet)
			q, errQ := netip.ParsePrefix(y.Subnet)
			if errP == nil && errQ == nil && p.Overlaps(q) {
				return p, q, true
			}
		}
	}
	return p, q, false
}

// Unshared are the networks of other pods, by the project that has each, that the spec joins and that are not shared yet.
func Unshared(desired pod.Spec, observed pod.Status) map[string][]string {
	owners := map[string][]string{}
	for _, n := range desired.Networks {
		if f, ok := observed.Networks[n.Name]; ok && !f.Made && f.Owner != "" && !f.Network.Shared {
			owners[f.Owner] = append(owners[f.Owner], n.Name)
		}
	}
	return owners
}

// Share plans that networks of a pod, by their names on the machine, can be joined by other pods: its cells get addresses
// there. The pod must be remembered. No container is touched.
func Share(observed pod.Status, names []string, with string) (*Plan, error) {
	ch := newChoice(*observed.Spec, observed, UpOptions{Services: []string{}, Recreate: RecreateNone, asFound: true})
	ch.networks = slices.Clone(ch.networks)
	for i := range ch.networks {
		n := &ch.networks[i]
		n.Shared = n.Shared || slices.Contains(names, n.Name)
	}
	u := newUp(ch)
	if err := (division{ch}).divide(); err != nil {
		return nil, err
	}
	if observed.Up && !sameTopology(u.topology, observed.Topology) {
		connection{u}.connect(observed.Topology, u.topology, fmt.Sprintf("%s joins network %s", with, strings.Join(names, ", ")))
	}
	u.plan.Pod = u.desired
	return u.plan, nil
}

// NewNetwork is a network that a command makes: complete, and disjoint from those there are. The error says what is wrong
// with what the command says of it.
func NewNetwork(n pod.Network, there []pod.Network) (pod.Network, error) {
	var elsewhere []string
	for _, o := range there {
		if o.Name == n.Name {
			return n, fmt.Errorf("cannot create network %q: it exists already", n.Name)
		}
		for _, p := range o.Pools {
			elsewhere = append(elsewhere, p.Subnet)
		}
		if p, q, ok := overlap(n, o); ok {
			return n, fmt.Errorf("cannot create network %q: its subnet %s overlaps %s of network %q: choose another", n.Name, p, q, o.Name)
		}
	}
	if err := checkPools(n); err != nil {
		return n, fmt.Errorf("cannot create network %q: %w", n.Name, err)
	}
	n, err := cells.Complete(n, elsewhere)
	if err != nil {
		return n, fmt.Errorf("cannot create network %q: %w", n.Name, err)
	}
	return n, nil
}

// checkPools says what is wrong with pools that no file says.
func checkPools(n pod.Network) error {
	for i, p := range n.Pools {
		subnet, err := netip.ParsePrefix(p.Subnet)
		if err != nil || subnet.Masked() != subnet {
			return fmt.Errorf("%q is no subnet: write ADDRESS/BITS, the address the first of the subnet's", p.Subnet)
		}
		for _, o := range n.Pools[:i] {
			if other, err := netip.ParsePrefix(o.Subnet); err == nil && other.Overlaps(subnet) {
				return fmt.Errorf("its subnets %s and %s overlap", o.Subnet, p.Subnet)
			}
		}
		if p.Range != "" {
			if r, err := netip.ParsePrefix(p.Range); err != nil || !subnet.Contains(r.Addr()) || r.Bits() < subnet.Bits() {
				return fmt.Errorf("ip range %q is no part of subnet %s", p.Range, p.Subnet)
			}
		}
		if p.Gateway != "" {
			if g, err := netip.ParseAddr(p.Gateway); err != nil || !subnet.Contains(g) {
				return fmt.Errorf("gateway %q is not in subnet %s", p.Gateway, p.Subnet)
			}
		}
	}
	return nil
}

// outside is the container of another project whose network a container joins; "" for none.
func (ch division) outside(c pod.Container) string {
	of, joins := strings.CutPrefix(string(c.NetworkMode), pod.NetworkOf)
	_, ours := ch.desired.Container(of)
	_, had := ch.observed.Container(of)
	if !joins || ours || had {
		return ""
	}
	return of
}

// ownerless finds the selected containers that join the network of one that has none.
func (ch division) ownerless() []error {
	var errs []error
	for _, name := range ch.names {
		c := ch.fates[name].want
		of := ch.outside(c)
		if of == "" {
			continue
		}
		owner, there := ch.observed.Owners[of]
		why := ""
		switch {
		case !there:
			why = "which does not exist: bring up the project that has it first"
		case !owner.Runs:
			why = fmt.Sprintf("which is not running: start it with `pcompose -p %s start %s`", owner.Project, owner.Service)
		default:
			continue
		}
		errs = append(errs, &Absent{Container: c.Name, Service: c.Service, Kind: AbsentOwner, Name: of, Search: pod.Search{Where: why}})
	}
	return errs
}

// joinOwners says of containers which network outside they join: where nothing is known of it, or nobody may be made anew,
// the one they are in.
func (ch division) joinOwners(containers []pod.Container, before *pod.Spec) {
	for i := range containers {
		c := &containers[i]
		of := ch.outside(*c)
		if of == "" {
			continue
		}
		was := joined(before, c.Cell, c.NetworkMode)
		if have, exists := ch.observed.Container(c.Name); exists {
			was = cmp.Or(joined(before, have.Cell, c.NetworkMode), was)
		}
		owner, there := ch.observed.Owners[of]
		switch {
		case was.Path != "" && (!there || ch.opt.Recreate == RecreateNone):
			c.Joined = was
			if there && owner.Instance != was.Instance {
				note(ch.choice, "container %s is in the network that %s had before: `up` makes it anew", c.Name, of)
			}
		default:
			c.Joined = owner.Joined
		}
	}
}

// joined is the network outside that a cell of a mode was; zero for a cell that was not there.
func joined(before *pod.Spec, cell string, mode pod.NetworkMode) pod.Joined {
	for _, c := range before.Cells {
		if c.Name == cell && c.Mode == mode {
			return c.Joined
		}
	}
	return pod.Joined{}
}
