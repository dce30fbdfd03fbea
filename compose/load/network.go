package load

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
)

// networks checks addresses: that those of the file fit each other, before anything is made of them.
type networks struct {
	*inspector
	model *types.Project
	// given are the addresses given out so far: network and address, to who has it.
	given map[string]string
}

// check checks all networks and each service's place on them.
func (n networks) check() {
	n.given = map[string]string{}
	var all []poolPlace
	for _, key := range slices.Sorted(maps.Keys(n.model.Networks)) {
		n.network(key, n.model.Networks[key])
		all = append(all, n.pools(key, n.model.Networks[key])...)
	}
	for i, p := range all {
		for _, other := range all[:i] {
			if p.subnet.Overlaps(other.subnet) {
				n.at(p.path+".subnet", fmt.Sprintf("%s overlaps %s of network %q at %s", p.subnet, other.subnet, other.network, n.where(other.path+".subnet")), "")
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.model.Services)) {
		n.service(n.model.Services[name])
	}
}

// network checks what of a network is not its addresses.
func (n networks) network(key string, network types.NetworkConfig) {
	base := "networks." + key
	has := func(b *bool, otherwise bool) bool { return b == nil && otherwise || b != nil && *b }
	six := slices.ContainsFunc(network.Ipam.Config, func(p *types.IPAMPool) bool { return strings.Contains(p.Subnet, ":") })
	if !has(network.EnableIPv4, true) && !has(network.EnableIPv6, six) {
		n.at(base+".enable_ipv4", "a network without IPv4 and IPv6 has no addresses", "add enable_ipv6: true")
	}
	// RFC 791 and RFC 8200: the least that every link takes.
	least := 68
	if has(network.EnableIPv6, six) {
		least = 1280
	}
	for _, name := range []string{"com.docker.network.driver.mtu", "mtu"} {
		if mtu, ok := network.DriverOpts[name]; ok {
			if bytes, err := strconv.Atoi(mtu); err != nil || bytes < least || bytes > 65535 {
				n.at(base+".driver_opts."+name, fmt.Sprintf("%q is no MTU: it is a number of bytes from %d to 65535", mtu, least), "")
			}
		}
	}
}

// poolPlace is a subnet that reads well.
type poolPlace struct {
	network, path string
	subnet        netip.Prefix
}

// pools checks the subnets of one network.
func (n networks) pools(key string, network types.NetworkConfig) []poolPlace {
	var all []poolPlace
	for i, pool := range network.Ipam.Config {
		path := fmt.Sprintf("networks.%s.ipam.config[%d]", key, i)
		if pool.Subnet == "" {
			if pool.Gateway != "" || pool.IPRange != "" || len(pool.AuxiliaryAddresses) > 0 {
				n.at(path, "a pool without a subnet has nothing that its addresses could be of", `add "subnet:"`)
			}
			continue
		}
		subnet, err := netip.ParsePrefix(pool.Subnet)
		if err != nil {
			n.at(path+".subnet", fmt.Sprintf("%q is no subnet", pool.Subnet), "write it as 172.28.0.0/16")
			continue
		}
		if masked := subnet.Masked(); masked != subnet {
			n.at(path+".subnet", fmt.Sprintf("%s is an address in a subnet", subnet), fmt.Sprintf("write %s", masked))
			continue
		}
		all = append(all, poolPlace{key, path, subnet})
		if pool.IPRange != "" {
			if r, err := netip.ParsePrefix(pool.IPRange); err != nil || r.Bits() < subnet.Bits() || !subnet.Contains(r.Addr()) {
				n.at(path+".ip_range", fmt.Sprintf("%q is no part of the subnet %s", pool.IPRange, subnet), "")
			}
		}
		n.within(path+".gateway", pool.Gateway, subnet)
		n.give(key, cmp.Or(pool.Gateway, subnet.Addr().Next().String()), "the gateway", path+".gateway")
		for _, name := range slices.Sorted(maps.Keys(pool.AuxiliaryAddresses)) {
			at := path + ".aux_addresses." + name
			n.within(at, pool.AuxiliaryAddresses[name], subnet)
			n.give(key, pool.AuxiliaryAddresses[name], fmt.Sprintf("the auxiliary address %q", name), at)
		}
	}
	return all
}

// within checks that an address is one, and of a subnet.
func (n networks) within(path, address string, subnet netip.Prefix) {
	if address == "" {
		return
	}
	switch addr, err := netip.ParseAddr(address); {
	case err != nil:
		n.at(path, fmt.Sprintf("%q is no address", address), "")
	case !subnet.Contains(addr):
		n.at(path, fmt.Sprintf("%s is not in the subnet %s", address, subnet), "")
	default:
		n.ofHost(path, addr, subnet)
	}
}

// ofHost refuses the addresses of a subnet that no host can have.
func (n networks) ofHost(path string, addr netip.Addr, subnet netip.Prefix) {
	if subnet.Masked().Addr() == addr {
		n.at(path, fmt.Sprintf("%s is the subnet itself, and no address of it", addr), "")
	}
	// A /31 has no broadcast address (RFC 3021).
	if addr.Is4() && subnet.Bits() < 31 && !subnet.Contains(addr.Next()) {
		n.at(path, fmt.Sprintf("%s is the broadcast address of the subnet %s", addr, subnet), "")
	}
}

// give notes who has an address of a network, which nobody else may have.
func (n networks) give(network, address, who, path string) {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return
	}
	key := network + " " + addr.String()
	if other, taken := n.given[key]; taken {
		n.at(path, fmt.Sprintf("%s is already the address of %s on network %q", addr, other, network), "")
		return
	}
	n.given[key] = who
}

// service checks a service's place on its networks.
func (n networks) service(s types.ServiceConfig) {
	n.mode(s)
	interfaces := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(s.Networks)) {
		a := s.Networks[key]
		if a == nil {
			continue
		}
		base := "services." + s.Name + ".networks." + key
		n.address(s, key, a.Ipv4Address, base+".ipv4_address")
		n.address(s, key, a.Ipv6Address, base+".ipv6_address")
		for _, l := range a.LinkLocalIPs {
			if _, err := netip.ParseAddr(l); err != nil {
				n.at(base+".link_local_ips", fmt.Sprintf("%q is no address", l), "")
			}
		}
		n.mac(s, a.MacAddress, base+".mac_address")
		n.sysctls(a.DriverOpts["com.docker.network.endpoint.sysctls"], base+".driver_opts.com.docker.network.endpoint.sysctls")
		if name := a.InterfaceName; name != "" {
			// dev_valid_name of the kernel: IFNAMSIZ is 16 with the closing zero.
			if len(name) > 15 || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n") || name == "lo" {
				n.at(base+".interface_name", fmt.Sprintf("%q is no name of an interface: it has at most 15 characters, no slash, colon or space", name), "")
			}
			if other, taken := interfaces[name]; taken {
				n.at(base+".interface_name", fmt.Sprintf("%q is already the interface on network %q", name, other), "")
			}
			interfaces[name] = key
		}
	}
	n.mac(s, s.MacAddress, "services."+s.Name+".mac_address")
	for i, link := range s.ExternalLinks {
		if container, alias, ok := strings.Cut(link, ":"); container == "" || ok && alias == "" {
			n.at(fmt.Sprintf("services.%s.external_links[%d]", s.Name, i), fmt.Sprintf("%q names no container", link), "write it as CONTAINER, or CONTAINER:NAME")
		}
	}
}

// sysctls checks those of a place on a network.
func (n networks) sysctls(list, path string) {
	if list == "" {
		return
	}
	for setting := range strings.SplitSeq(list, ",") {
		name, _, ok := strings.Cut(setting, "=")
		if !ok || !strings.HasPrefix(strings.TrimSpace(name), "net.") {
			n.at(path, fmt.Sprintf("%q is no sysctl of an interface", setting), "write it as net.ipv4.conf.IFNAME.log_martians=1")
		}
	}
}

// mac checks a hardware address.
func (n networks) mac(s types.ServiceConfig, mac, path string) {
	if mac == "" {
		return
	}
	if hw, err := net.ParseMAC(mac); err != nil || len(hw) != 6 {
		n.at(path, fmt.Sprintf("%q is no hardware address", mac), "write it as 02:42:ac:11:65:43")
	}
	n.single(s, path, mac)
}

// single refuses what only one replica can have.
func (n networks) single(s types.ServiceConfig, path, what string) {
	if replicas := s.GetScale(); replicas > 1 {
		n.at(path, fmt.Sprintf("%d replicas cannot all be %s", replicas, what), "scale to 1, or leave it out")
	}
}

// address checks a static address: that its network has it, and that nobody else does.
func (n networks) address(s types.ServiceConfig, network, address, path string) {
	if address == "" {
		return
	}
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Is4() != strings.HasSuffix(path, ".ipv4_address") {
		n.at(path, fmt.Sprintf("%q is no %s address", address, map[bool]string{true: "IPv4", false: "IPv6"}[strings.HasSuffix(path, ".ipv4_address")]), "")
		return
	}
	var subnets []string
	contained := false
	for _, pool := range n.model.Networks[network].Ipam.Config {
		if subnet, err := netip.ParsePrefix(pool.Subnet); err == nil {
			subnets = append(subnets, pool.Subnet)
			if subnet.Contains(addr) {
				contained = true
				n.ofHost(path, addr, subnet)
			}
		}
	}
	switch {
	case bool(n.model.Networks[network].External):
		// Its subnets are not this file's to know.
	case len(subnets) == 0:
		n.at(path, fmt.Sprintf("%s is in no subnet of network %q, whose file names none", addr, network),
			fmt.Sprintf("name one: networks: {%s: {ipam: {config: [{subnet: ...}]}}}", network))
	case !contained:
		n.at(path, fmt.Sprintf("%s is not in the subnet %s of network %q", addr, strings.Join(subnets, ", "), network), "")
	}
	n.single(s, path, address)
	n.give(network, address, fmt.Sprintf("service %q at %s", s.Name, n.where(path)), path)
}

// mode checks network_mode and what stands beside it.
func (n networks) mode(s types.ServiceConfig) {
	path := "services." + s.Name + ".network_mode"
	kind, of, joins := strings.Cut(s.NetworkMode, ":")
	known := []string{"none", "host", "bridge", "default"}
	switch {
	case s.NetworkMode == "":
		return
	case joins && (kind == "service" || kind == "container"):
		if of == "" {
			n.at(path, fmt.Sprintf("%q names no %s", s.NetworkMode, kind), "")
		}
	case !slices.Contains(known, s.NetworkMode):
		hint := compose.DidYouMean(s.NetworkMode, known)
		if hint == "" {
			hint = "known are none, host, bridge, service:NAME and container:NAME"
		}
		n.at(path, fmt.Sprintf("unknown network mode %q", s.NetworkMode), hint)
		return
	}
	for _, p := range s.Ports {
		if !joins {
			break // load.Unsupported warns, as docker does
		}
		n.problem(n.places.At(compose.Path(compose.PortKeys(s.Name, p)...)), "services."+s.Name+".ports",
			fmt.Sprintf("a service whose network_mode is %s has no port of its own to publish", s.NetworkMode), "publish it at "+of)
	}
	for _, l := range s.Links {
		name, _, _ := strings.Cut(l, ":")
		n.at("services."+s.Name+".links."+name, fmt.Sprintf("a service whose network_mode is %s has no network for a link", s.NetworkMode), "")
	}
}
