package engine

import (
	"testing"

	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// What a container's user may do follows from its user namespace, the owner, the mode and the capabilities.
func TestBindAccess(t *testing.T) {
	all := []idtools.IDMap{{Size: 1 << 32}}
	own := []idtools.IDMap{{ContainerID: 0, HostID: 1000, Size: 100}}
	for _, c := range []struct {
		name     string
		maps     []idtools.IDMap
		who      string
		drop     string
		uid, gid uint32
		mode     uint32
		want     Access
		inside   int
		host     string
	}{
		{name: "root", maps: all, who: "root", uid: 33, mode: unix.S_IFDIR | 0o700, want: AccessWrite, inside: 33, host: "0:0"},
		{name: "root without the capability", maps: all, who: "0", drop: "all", uid: 33, gid: 33, mode: unix.S_IFDIR | 0o755, want: AccessRead, inside: 33, host: "0:0"},
		{name: "owner", maps: all, who: "33:33", uid: 33, mode: unix.S_IFREG | 0o600, want: AccessWrite, inside: 33, host: "33:33"},
		{name: "owner whom the mode shuts out", maps: all, who: "33", uid: 33, mode: unix.S_IFREG | 0o077, want: AccessNone, inside: 33, host: "33:0"},
		{name: "group", maps: all, who: "7:33", gid: 33, mode: unix.S_IFDIR | 0o750, want: AccessRead, host: "7:33"},
		{name: "others", maps: all, who: "7:7", mode: unix.S_IFDIR | 0o776, want: AccessNone, host: "7:7"},
		{name: "only the image knows", maps: all, who: "node", mode: unix.S_IFDIR, want: AccessUnknown},
		{name: "own namespace", maps: own, who: "5:5", uid: 1005, gid: 1005, mode: unix.S_IFDIR | 0o700, want: AccessWrite, inside: 5, host: "1005:1005"},
		{name: "its root is not everybody's", maps: own, who: "0:0", uid: 999, gid: 1000, mode: unix.S_IFDIR | 0o705, want: AccessNone, inside: nobody, host: "1000:1000"},
		{name: "nobody", maps: own, who: "500:0", mode: unix.S_IFDIR | 0o777, want: AccessWrite, inside: nobody},
	} {
		cont := pod.Container{}
		if c.drop != "" {
			cont.Isolation.CapDrop = []string{c.drop}
		}
		b := names{uids: c.maps, gids: c.maps}.bind(cont, pod.Mount{}, unix.Stat_t{Uid: c.uid, Gid: c.gid, Mode: c.mode}, c.who)
		if b.Access != c.want || b.UID != c.inside || b.Host != c.host || b.Foreign != (c.inside == nobody) {
			t.Errorf("%s: %+v, want %s for %d, %q", c.name, b, c.want, c.inside, c.host)
		}
	}
}
