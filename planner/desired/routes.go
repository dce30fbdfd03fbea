package desired

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/pod"
)

// routeMetric is podman's where a route says none (podman-network-create(1)).
const routeMetric = 100

// routes are podman-compose's x-podman.routes of a network, each DESTINATION,GATEWAY[,METRIC]. A gateway on the loopback blocks
// the destination, as podman-compose documents it.
func (t wiring) routes(key string, n types.NetworkConfig) []pod.Route {
	base := "networks." + key + ".x-podman.routes"
	value := n.Extensions["x-podman.routes"]
	_, isList := value.([]any)
	var all []pod.Route
	for i, text := range listOrOne(value) {
		path := base
		if isList {
			path = fmt.Sprintf("%s[%d]", base, i)
		}
		r, wrong, hint := route(text)
		if wrong == "" && r.Gateway != "" {
			wrong, hint = t.beyond(n, r)
		}
		same := func(o pod.Route) bool { return o.Destination == r.Destination && o.Metric == r.Metric }
		if wrong == "" && slices.ContainsFunc(all, same) {
			wrong, hint = fmt.Sprintf("there is another route to %s with metric %d", r.Destination, r.Metric), "give one of them another metric"
		}
		if wrong != "" {
			t.extension(path, wrong, hint)
			continue
		}
		all = append(all, r)
	}
	return all
}

// route reads one, or says what is wrong with it and what to do about that.
func route(text string) (r pod.Route, wrong, hint string) {
	parts := strings.Split(text, ",")
	if len(parts) != 2 && len(parts) != 3 {
		return r, fmt.Sprintf("%q is no route", text), "write it as 10.1.0.0/16,172.28.0.2, with a metric as ,50 behind it if need be"
	}
	to, err := netip.ParsePrefix(parts[0])
	switch {
	case err != nil:
		return r, fmt.Sprintf("%q is no destination of a route", parts[0]), "write it as 10.1.0.0/16"
	case to.Masked() != to:
		return r, fmt.Sprintf("%s is an address in a subnet", to), fmt.Sprintf("write %s", to.Masked())
	case to.Bits() == 0:
		return r, "the default route is that of the network with the highest gw_priority",
			map[bool]string{true: "two halves come before it: 0.0.0.0/1 and 128.0.0.0/1", false: "two halves come before it: ::/1 and 8000::/1"}[to.Addr().Is4()]
	}
	gateway, err := netip.ParseAddr(parts[1])
	switch {
	case err != nil || gateway.Zone() != "":
		return r, fmt.Sprintf("%q is no address of a gateway", parts[1]), ""
	case gateway.Is4() != to.Addr().Is4():
		return r, fmt.Sprintf("the gateway %s and the destination %s are not both IPv4 or both IPv6", gateway, to), ""
	}
	r = pod.Route{Destination: to.String(), Metric: routeMetric}
	if !gateway.IsLoopback() {
		r.Gateway = gateway.String()
	}
	if len(parts) == 3 {
		metric, err := strconv.ParseUint(parts[2], 10, 31)
		if err != nil {
			return r, fmt.Sprintf("%q is no metric", parts[2]), "write a number, or leave it out"
		}
		r.Metric = int(metric)
	}
	return r, "", ""
}

// beyond is what is wrong with a gateway that is not on its network. The subnets of an external one are not this file's to know.
func (t wiring) beyond(n types.NetworkConfig, r pod.Route) (wrong, hint string) {
	if n.External {
		return "", ""
	}
	var subnets []string
	for _, pool := range n.Ipam.Config {
		if subnet, err := netip.ParsePrefix(pool.Subnet); err == nil {
			subnets = append(subnets, pool.Subnet)
			if addr, err := netip.ParseAddr(r.Gateway); err == nil && subnet.Contains(addr) {
				return "", ""
			}
		}
	}
	if len(subnets) == 0 {
		return fmt.Sprintf("the gateway %s is in no subnet of the network, whose file names none", r.Gateway), "name one: ipam: {config: [{subnet: ...}]}"
	}
	return fmt.Sprintf("the gateway %s is not in the subnet %s of the network", r.Gateway, strings.Join(subnets, ", ")), ""
}
