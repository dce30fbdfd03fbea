package desired

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/pod"
)

// Options of docker's drivers that a pod heeds.
const (
	optionMTU             = "com.docker.network.driver.mtu"
	optionEndpointSysctls = "com.docker.network.endpoint.sysctls"
)

// wiring is a translation as far as it is about networks.
type wiring struct{ *translation }

// networks are the Compose networks that containers of the pod are attached to, sorted by key.
func (t wiring) networks(containers []pod.Container) []pod.Network {
	used := map[string]bool{}
	for _, c := range containers {
		for _, a := range c.Networks {
			used[a.Network] = true
		}
	}
	var all []pod.Network
	for _, key := range slices.Sorted(maps.Keys(used)) {
		all = append(all, t.network(key, t.project.Model.Networks[key]))
	}
	return all
}

// network is one network as the file has it.
func (t wiring) network(key string, n types.NetworkConfig) pod.Network {
	out := pod.Network{
		Key: key, Name: cmp.Or(n.Name, t.project.Name+"_"+key), External: bool(n.External), Internal: n.Internal,
		NoIPv4: n.EnableIPv4 != nil && !*n.EnableIPv4, IPv6: n.EnableIPv6 != nil && *n.EnableIPv6, Labels: n.Labels,
	}
	// load refuses what is no number.
	out.MTU, _ = strconv.Atoi(cmp.Or(n.DriverOpts[optionMTU], n.DriverOpts["mtu"], "0"))
	if no, ok := n.Extensions["x-podman.disable_dns"]; ok {
		var isBool bool
		if out.Nameless, isBool = no.(bool); !isBool {
			t.extension("networks."+key+".x-podman.disable_dns", "disable_dns is true or false", "")
		}
	}
	out.Routes = t.routes(key, n)
	for _, p := range n.Ipam.Config {
		if p.Subnet == "" {
			continue
		}
		out.Pools = append(out.Pools, pod.Pool{Subnet: p.Subnet, Range: p.IPRange, Gateway: p.Gateway, Reserved: slices.Sorted(maps.Values(p.AuxiliaryAddresses))})
		if strings.Contains(p.Subnet, ":") {
			out.IPv6 = out.IPv6 || n.EnableIPv6 == nil
		}
	}
	return out
}

// attached is where a service's network comes from, and its places on the project's networks, sorted by key.
func (t wiring) attached(s types.ServiceConfig) (pod.NetworkMode, []pod.Attachment) {
	kind, of, _ := strings.Cut(s.NetworkMode, ":")
	switch kind {
	case "none", "host":
		return pod.NetworkMode(kind), nil
	case "service":
		return pod.NetworkMode(pod.NetworkOf + containerName(t.translation, t.project.Model.Services[of], 1)), nil
	case "container":
		return pod.NetworkMode(pod.NetworkOf + of), nil
	}
	var all []pod.Attachment
	for _, key := range slices.Sorted(maps.Keys(s.Networks)) {
		all = append(all, attachment(key, s.Networks[key]))
	}
	if len(all) == 0 {
		all = []pod.Attachment{{Network: "default"}}
	}
	// mac_address: of a service is that on its first network.
	if first := firstByPriority(all); s.MacAddress != "" && first.MAC == "" {
		first.MAC = s.MacAddress
	}
	return "", all
}

// attachment is a service's place on one network; a is nil where the file only names it.
func attachment(key string, a *types.ServiceNetworkConfig) pod.Attachment {
	out := pod.Attachment{Network: key}
	if a == nil {
		return out
	}
	out.Aliases, out.IPv4, out.IPv6 = a.Aliases, a.Ipv4Address, a.Ipv6Address
	out.LinkLocal, out.MAC, out.Interface = a.LinkLocalIPs, a.MacAddress, a.InterfaceName
	out.Priority, out.GatewayPriority = a.Priority, a.GatewayPriority
	// podman-compose's names for the same.
	if name, ok := a.Extensions["x-podman.interface_name"].(string); ok {
		out.Interface = cmp.Or(out.Interface, name)
	}
	if mac, ok := a.Extensions["x-podman.mac_address"].(string); ok {
		out.MAC = cmp.Or(out.MAC, mac)
	}
	for setting := range strings.SplitSeq(a.DriverOpts[optionEndpointSysctls], ",") {
		if name, value, ok := strings.Cut(setting, "="); ok {
			if out.Sysctls == nil {
				out.Sysctls = map[string]string{}
			}
			out.Sysctls[strings.TrimSpace(name)] = value
		}
	}
	return out
}

func firstByPriority(all []pod.Attachment) *pod.Attachment {
	best := 0
	for i := range all {
		if all[i].Priority > all[best].Priority {
			best = i
		}
	}
	return &all[best]
}

// sharing is what x-pcompose says of a service, or else of the project: network: own or shared.
func (t wiring) sharing(s types.ServiceConfig) pod.Sharing {
	for _, from := range []struct {
		extensions types.Extensions
		path       string
	}{{s.Extensions, "services." + s.Name + ".x-pcompose"}, {t.project.Model.Extensions, "x-pcompose"}} {
		section, ok := from.extensions["x-pcompose"]
		if !ok {
			continue
		}
		keys, isMapping := section.(map[string]any)
		value, _ := keys["network"].(string)
		switch sharing := pod.Sharing(value); {
		case !isMapping || keys["network"] == nil:
			t.extension(from.path, "x-pcompose is a mapping with the key network", "network: own, or network: shared")
		case sharing != pod.SharingOwn && sharing != pod.SharingShared:
			t.extension(from.path+".network", "network is own or shared", compose.DidYouMean(value, []string{"own", "shared"}))
		default:
			return sharing
		}
	}
	return ""
}

// podman is what podman-compose's extensions say of a service's names: no_hosts of itself, dns of its networks where it has no
// servers of its own.
func (t wiring) podman(s types.ServiceConfig, c *pod.Container) {
	if no, ok := s.Extensions["x-podman.no_hosts"]; ok {
		var isBool bool
		if c.NoHosts, isBool = no.(bool); !isBool {
			t.extension("services."+s.Name+".x-podman.no_hosts", "no_hosts is true or false", "")
		}
	}
	own := len(s.DNS) > 0
	for _, a := range c.Networks {
		for _, server := range listOrOne(t.project.Model.Networks[a.Network].Extensions["x-podman.dns"]) {
			if _, err := netip.ParseAddr(server); err != nil {
				t.extension("networks."+a.Network+".x-podman.dns", fmt.Sprintf("%q is no address", server), "")
			} else if !own && !slices.Contains(c.DNS.Servers, server) {
				c.DNS.Servers = append(slices.Clip(c.DNS.Servers), server)
			}
		}
	}
}

// listOrOne is a list as strings, or the one value that stands for it.
func listOrOne(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var all []string
		for _, item := range v {
			all = append(all, fmt.Sprint(item))
		}
		return all
	}
	return []string{fmt.Sprint(v)}
}

// extension is a problem of our own section of the file.
func (t *translation) extension(path, message, hint string) {
	p := t.project.Problem(path, "%s", message)
	p.Hint = hint
	if !slices.Contains(t.problems, p) {
		t.problems = append(t.problems, p)
	}
}
