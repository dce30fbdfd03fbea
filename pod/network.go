package pod

import "slices"

// Network is one of the project's Compose networks: who is attached to a common one can reach each other, who is
// not cannot.
type Network struct {
	// Key is its name in the Compose file; Name that on the machine: project_key, or what the file's name: says.
	Key  string
	Name string
	// External networks are neither made nor removed by the project.
	External bool `json:",omitempty"`
	// Shared networks are one with those of the same Name of other pods: by its hub.
	Shared bool `json:",omitempty"`
	// Internal networks have no way out of the pod.
	Internal bool `json:",omitempty"`
	// Pools are where its addresses come from; none lets the planner choose.
	Pools []Pool `json:",omitempty"`
	// NoIPv4 and IPv6 say which families it has.
	NoIPv4 bool `json:",omitempty"`
	IPv6   bool `json:",omitempty"`
	// Nameless networks tell no names of those on them.
	Nameless bool `json:",omitempty"`
	// MTU of its links in bytes; 0 is the kernel's.
	MTU int `json:",omitempty"`
	// Routes are those that all on it have beside its own, in the order of the file.
	Routes []Route           `json:",omitempty"`
	Labels map[string]string `json:",omitempty"`
	// Taken are the addresses that other pods have on it, with who. They change without the pod's doing, and are no part
	// of what it is.
	Taken map[string]string `json:"-"`
}

// Route is one to elsewhere. Destination and Gateway are in the form of net/netip, of one family.
type Route struct {
	Destination string
	// Gateway is who on the network sends on; "" is nobody: what is sent there is refused.
	Gateway string `json:",omitempty"`
	// Metric orders routes to one destination, the lowest first.
	Metric int
}

// Pool is a subnet of a network. All are in the form of net/netip; "" leaves the choice to the planner.
type Pool struct {
	Subnet string
	// Range is the part of the subnet that addresses are chosen from; "" is all of it.
	Range string `json:",omitempty"`
	// Gateway "" is the subnet's first address.
	Gateway string `json:",omitempty"`
	// Reserved are addresses that are given to nobody (aux_addresses), sorted.
	Reserved []string `json:",omitempty"`
}

// Attachment is a container's place on a network. What a field leaves empty is the planner's choice.
type Attachment struct {
	// Network is the network's key.
	Network string
	// Aliases are further names of the container on this network.
	Aliases []string `json:",omitempty"`
	IPv4    string   `json:",omitempty"`
	IPv6    string   `json:",omitempty"`
	// LinkLocal are further addresses.
	LinkLocal []string `json:",omitempty"`
	MAC       string   `json:",omitempty"`
	Interface string   `json:",omitempty"`
	// Priority orders the attachments of a container, the highest first; GatewayPriority chooses the one with the
	// default route, likewise.
	Priority        int `json:",omitempty"`
	GatewayPriority int `json:",omitempty"`
	// Sysctls are set in the container's cell; IFNAME in a name is the interface.
	Sysctls map[string]string `json:",omitempty"`
}

// Inward says whether all networks that a container is attached to are internal ones, by what is said of the given: then no port
// of it is published.
func (c Container) Inward(networks []Network) bool {
	outward := func(a Attachment) bool {
		return !slices.ContainsFunc(networks, func(n Network) bool { return n.Key == a.Network && n.Internal })
	}
	return len(c.Networks) > 0 && !slices.ContainsFunc(c.Networks, outward)
}

// NetworkMode is where a container's network comes from: "" is the networks it is attached to.
type NetworkMode string

const (
	NetworkNone NetworkMode = "none"
	NetworkHost NetworkMode = "host"
)

// NetworkOf prefixes a mode that names the container whose network is shared: "container:shop-web-1".
const NetworkOf = "container:"

// Joined is the network of a container outside the pod.
type Joined struct {
	// Path is its namespace's, Instance tells that from those before and after it.
	Path, Instance string
}

// Sharing says whether a container shares its cell; "" leaves it to the planner.
type Sharing string

const (
	// SharingOwn is a cell of its own.
	SharingOwn Sharing = "own"
	// SharingShared is the first cell, whatever the file promises.
	SharingShared Sharing = "shared"
)

// Link is a cell's place on a network, as planned.
type Link struct {
	// Network is the network's key.
	Network   string
	Interface string
	// IPv4 and IPv6 are address and prefix length ("10.90.1.2/24"); "" for a family the network has not got.
	IPv4      string   `json:",omitempty"`
	IPv6      string   `json:",omitempty"`
	LinkLocal []string `json:",omitempty"`
	MAC       string   `json:",omitempty"`
	// Default marks the link with the default route of IPv4, Default6 that of IPv6: a container may be on networks that have
	// only one of them.
	Default  bool `json:",omitempty"`
	Default6 bool `json:",omitempty"`
}

// Topology is the network of a pod as planned: its cells, the networks between them, and who is in which.
type Topology struct {
	// Cells are the first one, which is the router, and the others by name.
	Cells    []Cell
	Networks []Network `json:",omitempty"`
	// Members are the containers in another cell than the first, and those that publish ports; none where there is
	// only one cell. They are sorted by name.
	Members []Member `json:",omitempty"`
}

// Member is a container's place in a topology.
type Member struct {
	Container string
	// Service joins replicas: they may be behind one host port.
	Service string
	Cell    string
}

// Topology is that of the pod's containers.
func (s Spec) Topology() Topology {
	t := Topology{Cells: s.Cells, Networks: s.Networks}
	for _, c := range s.Containers {
		if len(s.Cells) < 2 || c.Cell == DefaultCell && len(c.Ports) == 0 {
			continue
		}
		t.Members = append(t.Members, Member{Container: c.Name, Service: c.Service, Cell: c.Cell})
	}
	return t
}
