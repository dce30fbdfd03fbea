package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/engine/network"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

// Network is a network of the machine, as commands show it.
type Network struct {
	pod.Network
	// Created is when it was made by a command; zero for one of a project.
	Created time.Time
	// Owner is the project whose file has it, "" for one that was made by a command.
	Owner string
	// Users are the projects on it, sorted, Containers their addresses there by container, or by cell where several share one.
	Users      []string
	Containers map[string][]string
}

// neighbour is a project, as far as networks are concerned.
type neighbour struct {
	name string
	spec pod.Spec
	// topology is what its supervisor was told last: what it still has of addresses that the spec has given up.
	topology pod.Topology
}

func madeNetworks(e *Engine) *network.Store {
	return network.New(filepath.Join(e.cfg.Root, "networks"), time.Now)
}

// neighbours are the projects but one that have a network of the given names, nil for any; elsewhere are the subnets of the
// others. Those that cannot be read come as the error.
func neighbours(e *Engine, but string, wanted map[string]bool) (all []neighbour, elsewhere []string, err error) {
	projects, err := e.state.Held()
	if err != nil {
		return nil, nil, err
	}
	delete(projects, but)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(projects)) {
		held := projects[name]
		if held != nil && wanted != nil && !slices.ContainsFunc(slices.Collect(maps.Keys(held)), func(n string) bool { return wanted[n] }) {
			elsewhere = slices.AppendSeq(elsewhere, slices.Values(slices.Concat(slices.Collect(maps.Values(held))...)))
			continue
		}
		p, err := e.state.Load(name)
		if err != nil {
			errs = append(errs, err)
		}
		if err != nil || p == nil {
			continue
		}
		n := neighbour{name: name, spec: p.Spec}
		if now, err := control.ReadPod(e.state.RunDir(name)); err == nil {
			n.topology = now.Topology
		}
		all = append(all, n)
	}
	return all, elsewhere, errors.Join(errs...)
}

// FindNetworks is what the machine has, beside a project, of the networks that a spec has.
func FindNetworks(e *Engine, project string, spec *pod.Spec) (pod.Status, error) {
	status := pod.Status{Name: project}
	return status, (&observation{e, &status}).networks(spec)
}

// networks looks for what others have of the networks that are wanted.
func (o *observation) networks(want *pod.Spec) error {
	if len(want.Networks) == 0 {
		return nil
	}
	made, err := madeNetworks(o.engine).List()
	wanted := map[string]bool{}
	for _, n := range want.Networks {
		wanted[n.Name] = true
	}
	others, subnets, errOthers := neighbours(o.engine, o.status.Name, wanted)
	if err := errors.Join(err, errOthers); err != nil && slices.ContainsFunc(want.Networks, func(n pod.Network) bool { return n.External }) {
		return err // what cannot be read may have the address that would be given
	}
	all := networksOf(made, others)
	elsewhere := map[string]bool{}
	for _, s := range subnets {
		elsewhere[s] = true
	}
	for _, n := range all {
		for _, p := range n.Pools {
			elsewhere[p.Subnet] = true
		}
	}
	for _, w := range want.Networks {
		i := slices.IndexFunc(all, func(n Network) bool { return n.Name == w.Name })
		if i < 0 || all[i].Created.IsZero() && len(all[i].Users) == 0 && all[i].Owner == "" {
			continue
		}
		if o.status.Networks == nil {
			o.status.Networks = map[string]pod.Found{}
		}
		n := all[i]
		n.Taken = taking(w.Name, others)
		o.status.Networks[w.Name] = pod.Found{Network: n.Network, Made: !n.Created.IsZero(), Owner: n.Owner, Users: n.Users}
		for _, p := range n.Pools {
			delete(elsewhere, p.Subnet)
		}
	}
	o.status.Elsewhere = slices.Sorted(maps.Keys(elsewhere))
	return nil
}

// networksOf are all networks there are, sorted by name: as the command says that made one, else as the project that has
// it, else as one that is on it.
func networksOf(made []network.Network, projects []neighbour) []Network {
	all := map[string]*Network{}
	for _, m := range made {
		all[m.Name] = &Network{Network: m.Network, Created: m.Created}
	}
	settled := map[string]bool{}
	for _, p := range projects {
		for _, n := range p.spec.Networks {
			have := all[n.Name]
			if have == nil {
				have = &Network{Network: n}
				all[n.Name] = have
			}
			if !n.External && have.Created.IsZero() && have.Owner == "" {
				have.Owner = p.name
			}
			// One that shares it knows its subnets; the owner, where it does, knows best.
			if have.Created.IsZero() && n.Shared && (!settled[n.Name] || have.Owner == p.name) {
				have.Network, settled[n.Name] = n, true
			}
			if n.Shared {
				have.Users = append(have.Users, p.name)
			}
			have.Containers = merge(have.Containers, holders(n.Name, p, (*neighbour).resident))
		}
	}
	return slices.SortedFunc(func(yield func(Network) bool) {
		for _, n := range all {
			if !yield(*n) {
				return
			}
		}
	}, func(a, b Network) int { return cmp.Compare(a.Name, b.Name) })
}

// merge adds to lists by key.
func merge(into, from map[string][]string) map[string][]string {
	for k, v := range from {
		if into == nil {
			into = map[string][]string{}
		}
		into[k] = append(into[k], v...)
	}
	return into
}

// holders are the addresses that a project has on a network, by who has them, as called says of a cell.
func holders(name string, p neighbour, called func(*neighbour, string) string) map[string][]string {
	all := map[string][]string{}
	for _, t := range []pod.Topology{{Cells: p.spec.Cells, Networks: p.spec.Networks}, p.topology} {
		key := ""
		for _, n := range t.Networks {
			if n.Name == name {
				key = n.Key
			}
		}
		for _, c := range t.Cells {
			for _, l := range c.Links {
				who := called(&p, c.Name)
				for _, a := range []string{l.IPv4, l.IPv6} {
					if l.Network == key && a != "" && !slices.Contains(all[who], a) {
						all[who] = append(all[who], a)
					}
				}
			}
		}
	}
	return all
}

// resident is the one container in a cell, or those there are.
func (n *neighbour) resident(cell string) string {
	var in []string
	for _, c := range n.spec.Containers {
		if c.Cell == cell {
			in = append(in, c.Name)
		}
	}
	if len(in) == 0 {
		return "project " + n.name
	}
	return strings.Join(in, ", ")
}

// holder is who has an address, in words.
func (n *neighbour) holder(cell string) string { return n.resident(cell) + " of project " + n.name }

// taking is who has which address on a network.
func taking(name string, projects []neighbour) map[string]string {
	taken := map[string]string{}
	for _, p := range projects {
		for who, addrs := range holders(name, p, (*neighbour).holder) {
			for _, a := range addrs {
				if prefix, err := netip.ParsePrefix(a); err == nil {
					taken[prefix.Addr().String()] = who
				}
			}
		}
	}
	return taken
}

// LockAddresses keeps others from giving addresses on shared networks, from looking who has which until what is given is
// remembered. Others hold it for milliseconds.
func LockAddresses(e *Engine) (unlock func(), err error) {
	dir := filepath.Join(e.cfg.RunRoot, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".networks"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		// EINTR: flock(2) is not restarted after the Go runtime's preemption signal.
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock the networks: %w", err), f.Close())
	}
	return func() { f.Close() }, nil
}

// CreateNetwork makes a network for projects to join. What it says of subnets must overlap none there is; where it says
// nothing, they are chosen.
func CreateNetwork(e *Engine, n pod.Network) (pod.Network, error) {
	unlock, err := LockAddresses(e)
	if err != nil {
		return n, err
	}
	defer unlock()
	all, err := Networks(e)
	if err != nil {
		return n, err
	}
	if n, err = planner.NewNetwork(n, known(all)); err != nil {
		return n, err
	}
	return n, madeNetworks(e).Create(n)
}

func known(all []Network) []pod.Network {
	var list []pod.Network
	for _, n := range all {
		list = append(list, n.Network)
	}
	return list
}

// Networks are all networks of the machine, sorted by name.
func Networks(e *Engine) ([]Network, error) {
	made, err := madeNetworks(e).List()
	projects, _, errProjects := neighbours(e, "", nil)
	return networksOf(made, projects), errors.Join(err, errProjects)
}

// RemoveNetwork forgets a network that was made by a command. One that a project is on stays.
func RemoveNetwork(e *Engine, name string) error {
	unlock, err := LockAddresses(e)
	if err != nil {
		return err
	}
	defer unlock()
	all, err := Networks(e)
	if err != nil {
		return err
	}
	for _, n := range all {
		if err := Removable(n); n.Name == name && err != nil {
			return err
		}
	}
	return madeNetworks(e).Remove(name)
}

// Removable says why a network cannot be removed by a command, nil when it can.
func Removable(n Network) error {
	switch {
	case len(n.Users) > 0:
		return fmt.Errorf("cannot remove network %q: in use by project %s: take it down first", n.Name, quoted(n.Users))
	case n.Owner != "":
		return fmt.Errorf("cannot remove network %q: it is that of project %q, and goes with it: `pcompose -p %s down`", n.Name, n.Owner, n.Owner)
	}
	return nil
}

func quoted(names []string) string {
	text := ""
	for i, n := range names {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q", n)
	}
	return text
}

// owners looks for the containers of other projects whose network is joined, by the containers wanted or there.
func (o *observation) owners(ctx context.Context, want *pod.Spec) error {
	names := map[string]bool{}
	look := func(c pod.Container) {
		of, joins := strings.CutPrefix(string(c.NetworkMode), pod.NetworkOf)
		_, ours := want.Container(of)
		_, had := o.status.Container(of)
		names[of] = joins && !ours && !had
	}
	for _, c := range want.Containers {
		look(c)
	}
	for _, c := range o.status.Containers {
		look(c.Container)
	}
	for name, foreign := range names {
		if !foreign {
			continue
		}
		project, r, err := locate(o.engine, name)
		if errors.Is(err, errNoContainer) {
			continue
		}
		if err != nil {
			return err
		}
		remembered, err := o.engine.state.Load(project)
		if err != nil || remembered == nil {
			return err
		}
		other := pod.Status{Name: project}
		if err := (&observation{o.engine, &other}).containers(ctx, remembered); err != nil {
			return err
		}
		owner := pod.Owner{Project: project, Service: r.Container.Service}
		have, _ := other.Container(r.Container.Name)
		owner.Path = filepath.Join(o.engine.state.RunDir(project), "cells", r.Container.Cell)
		var st unix.Stat_t
		if owner.Runs = have.Run.State.Alive() && unix.Stat(owner.Path, &st) == nil; owner.Runs {
			owner.Instance = fmt.Sprint(st.Ino)
		}
		if o.status.Owners == nil {
			o.status.Owners = map[string]pod.Owner{}
		}
		o.status.Owners[name] = owner
	}
	return nil
}

// ownersFile is a file of the container outside the pod whose network a container joins, nil for none: it has the names
// that hold there.
func ownersFile(b *bundle, name string) []byte {
	of, joins := strings.CutPrefix(string(b.cell().Mode), pod.NetworkOf)
	if !joins {
		return nil
	}
	project, r, err := locate(b.project.engine, of)
	if err != nil {
		return nil
	}
	content, err := os.ReadFile(filepath.Join(b.project.engine.state.BundleDir(project, r.ID), name))
	if err != nil {
		return nil
	}
	return content
}
