package cells

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// unit is containers that are in one cell whatever else is: one that has a network, and those that join it.
type unit struct {
	// members are sorted by name, but for the first, whose network it is.
	members []pod.Container
	mode    pod.NetworkMode
	// class is the set of networks; units of different classes are never in one cell.
	class string
	// alone is why nobody else may be in its cell; "" where others may.
	alone string
	// beside is why it cannot be in the first cell, whose way out is not by the networks' links; "" where it can.
	beside string
	// shared units are in the first cell, whatever the file promises: the user said so.
	shared bool
	// listens are the declared ports, with the container that declares each.
	listens map[pod.Listen]string
	// held are the ports that others could not bind since a member had them, with that member; denied are those that a
	// member could not bind, with who had each. Neither is a promise: what runs well beside them stays.
	held, denied map[pod.Listen]string
	// stays marks one that runs until its successor is ready: nothing can move it meanwhile.
	stays bool
	// before is the cell it was in, "" for none.
	before string
}

// units are the containers of a pod by whose network they have, sorted by the name of the first member.
func units(spec pod.Spec, images map[string]pod.Image) []*unit {
	byName := map[string]pod.Container{}
	for _, c := range spec.Containers {
		byName[c.Name] = c
	}
	all := map[string]*unit{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		owner := owner(byName, name)
		u := all[owner.Name]
		if u == nil {
			u = &unit{members: []pod.Container{owner}, mode: owner.NetworkMode, listens: map[pod.Listen]string{}, held: map[pod.Listen]string{}, denied: map[pod.Listen]string{}}
			u.class, u.alone, u.beside = class(owner), alone(owner, spec.Networks), beside(owner, spec.Networks)
			all[owner.Name] = u
		}
		c := byName[name]
		if name != owner.Name {
			u.members = append(u.members, c)
		}
		for _, l := range declared(c, images) {
			u.listens[l] = cmp.Or(u.listens[l], name)
		}
		u.listensAs(c, byName)
		if c.Sharing == pod.SharingOwn && u.alone == "" {
			u.alone = "x-pcompose.network is own"
		}
		if c.Sharing == pod.SharingShared && u.mode == "" {
			u.alone, u.beside, u.shared = "", "", true
		}
	}
	for _, d := range spec.Denied {
		if _, there := byName[d.Container]; there {
			u := all[owner(byName, d.Container).Name]
			u.denied[d.Listen] = cmp.Or(u.denied[d.Listen], d.By)
		}
		if _, there := byName[d.By]; there {
			all[owner(byName, d.By).Name].held[d.Listen] = d.By
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *unit) int { return strings.Compare(a.members[0].Name, b.members[0].Name) })
}

// free says whether a unit may be with others of its class.
func (u *unit) free() bool { return u.alone == "" && !u.shared }

// answersNames says whether a member listens where a resolver would.
func (u *unit) answersNames() bool {
	for l := range u.listens {
		if l.Port == 53 {
			return true
		}
	}
	return false
}

// weight decides who stays in a cell that two claim.
func (u *unit) weight() int {
	if u.stays {
		return math.MaxInt32
	}
	return len(u.members)
}

// claim is who may have been in one cell before, and may be again.
func (u *unit) claim() string {
	if u.alone != "" && (u.mode == "" || u.mode == pod.NetworkNone) {
		return "alone/" + u.members[0].Name
	}
	return u.class
}

// listensAs keeps a container apart from its successor, which listens where it does, declared or not.
func (u *unit) listensAs(c pod.Container, byName map[string]pod.Container) {
	_, succeeded := byName[pod.SuccessorName(c.Name)]
	u.stays = u.stays || succeeded
	if place := cmp.Or(c.Succeeds, c.Name); succeeded || c.Succeeds != "" {
		u.listens[pod.Listen{Protocol: "as " + place}] = place
	}
}

// owner follows network_mode to the container whose network it is. A cycle, which load refuses, ends where it began.
func owner(byName map[string]pod.Container, name string) pod.Container {
	c, seen := byName[name], map[string]bool{}
	for !seen[c.Name] {
		seen[c.Name] = true
		of, joins := strings.CutPrefix(string(c.NetworkMode), pod.NetworkOf)
		next, ours := byName[of]
		if !joins || !ours {
			break
		}
		c = next
	}
	return c
}

// declared are the ports of the file, else those of the image.
func declared(c pod.Container, images map[string]pod.Image) []pod.Listen {
	if len(c.Listens) > 0 {
		return c.Listens
	}
	return images[c.Image].Listens
}

// class is the networks of a container, with what of its place there the whole cell would share.
func class(c pod.Container) string {
	if c.NetworkMode != "" {
		return string(c.NetworkMode)
	}
	var all []string
	for _, a := range c.Networks {
		name := a.Network
		if a.GatewayPriority != 0 {
			name += fmt.Sprintf("(gw_priority %d)", a.GatewayPriority)
		}
		all = append(all, name)
	}
	slices.Sort(all)
	networks := strings.Join(all, ",")
	// A cell has one resolver, which asks these.
	if len(c.DNS.Servers) > 0 {
		networks += dnsMark + strings.Join(c.DNS.Servers, ",")
	}
	return networks
}

// dnsMark stands in a class between networks and DNS servers.
const dnsMark = " dns "

// whyClass is why units of two classes are apart, as a user reads it.
func whyClass(class, other string) string {
	networks, servers, _ := strings.Cut(class, dnsMark)
	otherNetworks, otherServers, _ := strings.Cut(other, dnsMark)
	list := func(s, none string) string { return cmp.Or(strings.ReplaceAll(s, ",", ", "), none) }
	if networks != otherNetworks {
		return fmt.Sprintf("on networks %s, not %s", list(networks, "none"), list(otherNetworks, "none"))
	}
	return fmt.Sprintf("dns is %s, not %s", list(servers, "the host's"), list(otherServers, "the host's"))
}

// alone is why a container's cell is its own.
func alone(c pod.Container, networks []pod.Network) string {
	switch {
	case c.NetworkMode == pod.NetworkNone:
		return "network_mode is none"
	case c.NetworkMode == pod.NetworkHost:
		return "network_mode is host"
	case c.NetworkMode != "":
		return "network_mode is " + string(c.NetworkMode)
	case c.Isolation.Privileged:
		return "it is privileged and could change the network of others"
	case adds(c, "CAP_NET_ADMIN"):
		return "NET_ADMIN could change the network of others"
	case len(networks) > 1 && adds(c, "CAP_NET_RAW"):
		// packet(7): the first cell's links carry what all networks send.
		return "NET_RAW could read what others send on their networks"
	}
	for _, name := range slices.Sorted(maps.Keys(c.Isolation.Sysctls)) {
		if strings.HasPrefix(name, "net.") || strings.HasPrefix(name, "net/") {
			return name + " would change the network of others"
		}
	}
	for _, a := range c.Networks {
		fixed := cmp.Or(a.IPv4, a.IPv6, a.MAC, a.Interface, strings.Join(a.LinkLocal, ", "))
		switch {
		case fixed != "":
			return fmt.Sprintf("it is %s on network %s", fixed, a.Network)
		case len(a.Sysctls) > 0:
			return "it has sysctls on network " + a.Network
		}
	}
	return ""
}

// beside is why a container's packets must leave by links of its networks.
func beside(c pod.Container, networks []pod.Network) string {
	for _, n := range networks {
		switch on := func(a pod.Attachment) bool { return a.Network == n.Key }; {
		case c.NetworkMode != "" || !slices.ContainsFunc(c.Networks, on):
		case n.MTU > 0:
			return fmt.Sprintf("network %s has an MTU of %d", n.Key, n.MTU)
		case len(n.Routes) > 0:
			return fmt.Sprintf("network %s has routes", n.Key)
		}
	}
	return ""
}

// adds says whether a container has a capability more than others.
func adds(c pod.Container, capability string) bool {
	return slices.ContainsFunc(c.Isolation.CapAdd, func(name string) bool {
		full, _ := pod.Capability(name)
		return full == capability || full == pod.AllCapabilities
	})
}

// collides says why two may not share a cell: the lowest port that both declare, or that one could not bind while the other
// had it, or wants it too. That a port was held counts for who comes anew, and moves nobody.
func (u *unit) collides(other *unit) (why string, ok bool) {
	both := map[pod.Listen]string{}
	for l := range u.listens {
		if who := other.listens[l]; who != "" {
			if both[l] = fmt.Sprintf("port %d/%s is that of %s", l.Port, l.Protocol, who); l.Port == 0 {
				both[l] = who + " runs until its successor is ready"
			}
		}
	}
	for _, pair := range [][2]*unit{{u, other}, {other, u}} {
		for l := range pair[0].listens {
			if by := pair[1].held[l]; by != "" && pair[0].before == "" {
				both[l] = fmt.Sprintf("port %d/%s is that of %s", l.Port, l.Protocol, by)
			}
		}
		for l, by := range pair[0].denied {
			if both[l] == "" && pair[1].wants(l) {
				both[l] = fmt.Sprintf("port %d/%s was taken by %s when it started", l.Port, l.Protocol, by)
			}
		}
	}
	if len(both) == 0 {
		return "", false
	}
	lowest := slices.MinFunc(slices.Collect(maps.Keys(both)), func(a, b pod.Listen) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return both[lowest], true
}

// wants says whether a member listens on a port, as it declares or as was seen, or would.
func (u *unit) wants(l pod.Listen) bool {
	return u.listens[l] != "" || u.held[l] != "" || u.denied[l] != ""
}

// conflicts says of each two units whether they may not share a cell for their ports, as collides does.
func conflicts(all []*unit) [][]bool {
	apart := make([][]bool, len(all))
	declare := map[pod.Listen][]int{}
	for i, u := range all {
		apart[i] = make([]bool, len(all))
		for l := range u.listens {
			declare[l] = append(declare[l], i)
		}
	}
	for _, who := range declare {
		for _, i := range who {
			for _, j := range who {
				apart[i][j] = i != j
			}
		}
	}
	for i, u := range all {
		if len(u.held) == 0 && len(u.denied) == 0 {
			continue
		}
		for j, o := range all {
			if _, collide := u.collides(o); collide && i != j {
				apart[i][j], apart[j][i] = true, true
			}
		}
	}
	return apart
}
