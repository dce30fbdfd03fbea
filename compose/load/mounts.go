package load

import (
	"fmt"
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
