// Package pod is the vocabulary of a running project: the pod, its cells, volumes and containers, as data.
//
// A Spec says what a pod should be; a Status says what it is. Both are plain values: they marshal to JSON
// unchanged, compare by their fields, and reach for nothing on the machine.
package pod

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Spec is a project as the pod it should become.
type Spec struct {
	// Name is the project's name; it names the pod, its state directory and everything made for it.
	Name string
	// Dir is the project directory and Files the Compose files, absolute, as the user gave them.
	Dir   string
	Files []string `json:",omitempty"`
	// Cells are the network namespaces of the pod; a simple project has one.
	Cells []Cell
	// Networks are those of the Compose file that a container is attached to, sorted by key.
	Networks []Network `json:",omitempty"`
	// Volumes are the named volumes the containers mount, sorted by name.
	Volumes []Volume `json:",omitempty"`
	// Disabled are services of profiles that are not active: in the file, not in the pod.
	Disabled []string `json:",omitempty"`
	// Containers are sorted by name. Their order says nothing about the order they start in: After does.
	Containers []Container
	// Idle are the services of the file that have no container because they are scaled to none, sorted.
	Idle []string `json:",omitempty"`
	// Providers are the services that external programs provide, sorted by service.
	Providers []Provider `json:",omitempty"`
	// Builds are the images that are built, sorted by their first name.
	Builds []Build `json:",omitempty"`
	// Elsewhere is that of the Status it is planned with, and no part of what the pod is.
	Elsewhere []string `json:"-"`
	// Denied are ports that the file does not declare, and that containers could not bind: what was seen while the pod ran,
	// remembered so that it does not happen again. They are sorted.
	Denied []Denial `json:",omitempty"`
}

// Has says whether the file has a service: with containers, of a provider, scaled to none, or of an inactive profile.
func (s Spec) Has(service string) bool {
	return slices.Contains(s.Idle, service) || slices.Contains(s.Disabled, service) || s.Provides(service) ||
		slices.ContainsFunc(s.Containers, func(c Container) bool { return c.Service == service })
}

// Provides says whether a service is of a provider.
func (s Spec) Provides(service string) bool {
	return slices.ContainsFunc(s.Providers, func(p Provider) bool { return p.Service == service })
}

// Container finds a container of the pod by name.
func (s Spec) Container(name string) (Container, bool) {
	for _, c := range s.Containers {
		if c.Name == name {
			return c, true
		}
	}
	return Container{}, false
}

// Ports are the published ports of all containers, in the containers' order.
func (s Spec) Ports() []Port {
	var ports []Port
	for _, c := range s.Containers {
		ports = append(ports, c.Ports...)
	}
	return ports
}

// DefaultCell is the cell every container is in unless a promise of the file needs another.
const DefaultCell = "default"

// Cell is a network namespace of the pod.
type Cell struct {
	Name string
	// Why says which promise of the file made this cell; "" for the first one.
	Why string `json:",omitempty"`
	// Mode is NetworkNone for a cell that has its loopback only, NetworkHost for the host's own namespace, and
	// NetworkOf with a name for that of a container outside the pod.
	Mode NetworkMode `json:",omitempty"`
	// Joined is what it is where Mode names a container outside the pod.
	Joined Joined `json:",omitzero"`
	// Resolver says that the pod answers DNS in it, on 127.0.0.11; not where a container has that port itself.
	Resolver bool `json:",omitempty"`
	// Servers are whom the resolver asks for what the pod does not know, from within the cell; none is the host's.
	Servers []string `json:",omitempty"`
	// Links are sorted by network. The first cell, which is the router, has none until there is a second.
	Links []Link `json:",omitempty"`
}

// Labels by which volumes are known, docker compose's.
const (
	LabelProject    = "com.docker.compose.project"
	LabelVolume     = "com.docker.compose.volume"
	LabelVersion    = "com.docker.compose.version"
	LabelConfigHash = "com.docker.compose.config-hash"
)

// Volume is a named volume.
type Volume struct {
	// Name is the volume's name on the machine: project_key, or what the file's name: says.
	Name string
	// External volumes are neither made nor removed by the project.
	External   bool              `json:",omitempty"`
	Driver     string            `json:",omitempty"`
	DriverOpts map[string]string `json:",omitempty"`
	Labels     map[string]string `json:",omitempty"`
}

// Protocol of a port.
const (
	TCP = "tcp"
	UDP = "udp"
)

// Port is a published port: what arrives at the host port reaches the container's port.
type Port struct {
	// Container is the container's name.
	Container string
	// HostIP is the host address that listens; "" is every address, IPv4 and IPv6.
	HostIP string `json:",omitempty"`
	// HostPort 0 lets the kernel choose; the status then has what it chose.
	HostPort uint16
	// Last leaves the choice among HostPort to Last to the planner; 0 where there is none, or it has chosen.
	Last          uint16 `json:",omitempty"`
	ContainerPort uint16
	// Protocol is TCP or UDP.
	Protocol string
}

// String is host:port->port/protocol, the host as `docker compose ps` prints it.
func (p Port) String() string {
	host := p.HostIP
	switch {
	case host == "":
		host = "0.0.0.0"
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s:%s->%d/%s", host, p.HostPorts(), p.ContainerPort, p.Protocol)
}

// HostPorts is "8080", or "8080-8090" where one of them is to be chosen.
func (p Port) HostPorts() string {
	if p.Last == 0 {
		return strconv.Itoa(int(p.HostPort))
	}
	return fmt.Sprintf("%d-%d", p.HostPort, p.Last)
}

// Allows says whether a host port is the one, or one of those to choose from.
func (p Port) Allows(host uint16) bool { return p.HostPort <= host && host <= max(p.HostPort, p.Last) }

// Collides says whether two host ports cannot both be bound; those left to the kernel always can. Addresses overlap as
// the kernel has it: "" is every address, 0.0.0.0 every IPv4 address, :: every IPv6 address.
func (p Port) Collides(o Port) bool {
	if p.HostPort == 0 || p.HostPort != o.HostPort || p.Protocol != o.Protocol {
		return false
	}
	x, errX := netip.ParseAddr(p.HostIP)
	y, errY := netip.ParseAddr(o.HostIP)
	if errX != nil || errY != nil || x.Unmap() == y.Unmap() {
		return true
	}
	return x.Unmap().Is4() == y.Unmap().Is4() && (x.IsUnspecified() || y.IsUnspecified())
}

// Listen is a port that a container declares to listen on (EXPOSE, expose, the target of ports).
type Listen struct {
	Port     uint16
	Protocol string
}
