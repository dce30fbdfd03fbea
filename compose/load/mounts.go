package load

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// mount checks the long form of one of a service's volumes.
func (c checker) mount(n *yaml.Node, keys []string) {
	text := func(keys ...string) string {
		if v := child(n, keys...); v != nil {
			return c.value(v)
		}
		return ""
	}
	wrong := func(at *yaml.Node, hint, format string, args ...any) {
		if at == nil {
			at = n
		}
		c.bad[n] = true
		c.wrong(at, keys, fmt.Sprintf(format, args...), hint)
	}
	kind, source := text("type"), child(n, "source")
	target := child(n, "target")
	switch {
	case kind == types.VolumeTypeCluster:
		wrong(child(n, "type"), "use type: volume", "volumes of type cluster are Docker Swarm's")
	case kind == types.VolumeTypeNamedPipe:
		wrong(child(n, "type"), "use type: bind for a socket of the host", "named pipes are of Windows")
	case target != nil && !strings.HasPrefix(c.value(target), "/"):
		wrong(target, "", "the target %q in the container must be an absolute path", c.value(target))
	case source == nil && kind == types.VolumeTypeBind:
		wrong(n, `say which path of the host with "source:"`, "a bind mount needs a source")
	case text("source") == "" && kind == types.VolumeTypeImage:
		wrong(source, `say which image with "source:"`, "a volume of type image needs a source")
	case kind == types.VolumeTypeImage && badImage(text("source")) != "":
		wrong(source, "", "%s", badImage(text("source")))
	case outside(text(kind, "subpath")):
		wrong(child(n, kind, "subpath"), "write it without leading / and ..", "the subpath %q is not below what is mounted", text(kind, "subpath"))
	}
}

// outside says whether a subpath would lead out of what it is below.
func outside(subpath string) bool {
	return path.IsAbs(subpath) || subpath == ".." || strings.HasPrefix(path.Clean(subpath), "../")
}

// badVolumesFrom reads an item of volumes_from; whether there is such a service the inspector knows.
func badVolumesFrom(s string) string {
	name, _ := strings.CutPrefix(s, types.ContainerPrefix)
	name, mode, moded := strings.Cut(name, ":")
	if name == "" || moded && !slices.Contains([]string{"ro", "rw"}, mode) {
		return fmt.Sprintf("%q names no volumes: write SERVICE or container:NAME, with :ro to mount them read-only", s)
	}
	return ""
}

// driver checks what a volume is made with: the local driver is the only one, with docker's options for it.
func (in *inspector) driver(path string, v types.VolumeConfig) {
	if v.Driver != "" && v.Driver != "local" {
		in.at(path+".driver", fmt.Sprintf("there is no volume driver %q, only local: plugins of docker and podman do not work here", v.Driver),
			"use type, o and device of the local driver")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(v.DriverOpts)) {
		if !slices.Contains([]string{"type", "o", "device"}, key) {
			in.at(path+".driver_opts."+key, fmt.Sprintf("the local driver has no option %q", key), "it has type, o and device")
		}
	}
	kind, device := v.DriverOpts["type"], v.DriverOpts["device"]
	options := strings.Split(v.DriverOpts["o"], ",")
	bind := slices.Contains(options, "bind") || slices.Contains(options, "rbind")
	switch {
	case device == "" && (kind != "" && kind != "tmpfs" || kind == "" && v.DriverOpts["o"] != ""):
		in.at(path+".driver_opts", "the options say no device to mount", "add device:")
	case device != "" && !bind && (kind == "" || kind == "none"):
		in.at(path+".driver_opts", fmt.Sprintf("the device %q has no type, and the options do not say bind", device), "add type:, or o: bind for a folder of the host")
	case bind && !strings.HasPrefix(device, "/"):
		in.at(path+".driver_opts.device", fmt.Sprintf("the device %q must be an absolute path", device), "")
	}
}
