package load

import (
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/format"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
)

// place records where the values below n were written, and the other names they can be looked up by.
func (w *walk) place(doc *document, n *yaml.Node, keys []string) {
	switch n = deref(n); n.Kind {
	case yaml.MappingNode:
		for _, e := range entries(n) {
			if w.bad[e.value] {
				continue
			}
			next := step(keys, e.key.Value)
			w.places.Add(position(doc, e.key), next...)
			w.place(doc, e.value, next)
		}
	case yaml.SequenceNode:
		for i, v := range n.Content {
			at := position(doc, v)
			w.places.Add(at, step(keys, item(i))...)
			for _, alias := range w.itemNames(deref(v), keys) {
				w.places.Alias(at, step(keys, alias)...)
			}
			w.place(doc, v, step(keys, item(i)))
		}
	}
}

// itemNames are what the model calls a list's item: merging and expansion number items anew, so the number in the file says nothing there.
func (w *walk) itemNames(n *yaml.Node, keys []string) []string {
	if len(keys) == 0 {
		return nil
	}
	text := w.value(n)
	switch list := keys[len(keys)-1]; {
	case list == "ports" && len(keys) == 3:
		return w.portNames(n, keys[1])
	case n.Kind == yaml.MappingNode:
		var names []string
		for _, key := range []string{"source", "target", "path"} {
			if v := child(n, key); v != nil {
				names = append(names, w.value(v))
			}
		}
		return names
	case list == "volumes":
		v, err := format.ParseVolume(text)
		if err != nil {
			return nil
		}
		return []string{v.Source, v.Target}
	case list == "volumes_from" && strings.HasPrefix(text, types.ContainerPrefix):
		name, _, _ := strings.Cut(strings.TrimPrefix(text, types.ContainerPrefix), ":")
		return []string{types.ContainerPrefix + name}
	case list == "links" || list == "volumes_from" || list == "tmpfs" || list == "extra_hosts":
		name, _, _ := strings.Cut(text, ":")
		return []string{name}
	}
	name, _, _ := strings.Cut(text, "=")
	return []string{name}
}

// portNames are the names of all ports that one item stands for: "9000-9001:9000-9001" is two.
func (w *walk) portNames(n *yaml.Node, service string) []string {
	var ports []types.ServicePortConfig
	if n.Kind == yaml.MappingNode {
		get := func(key string) string {
			if v := child(n, key); v != nil {
				return w.value(v)
			}
			return ""
		}
		target, _ := strconv.ParseUint(get("target"), 10, 32)
		port := types.ServicePortConfig{HostIP: get("host_ip"), Published: get("published"), Target: uint32(target), Protocol: get("protocol")}
		if port.Protocol == "" {
			port.Protocol = "tcp"
		}
		ports = append(ports, port)
	} else {
		ports, _ = types.ParsePortConfig(w.value(n))
	}
	var names []string
	for _, p := range ports {
		keys := compose.PortKeys(service, p)
		names = append(names, keys[len(keys)-1])
	}
	return names
}
