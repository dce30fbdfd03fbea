package engine

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/rootfs"
	"github.com/pcompose/pcompose/engine/userns"
	"github.com/pcompose/pcompose/pod"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"
)

// Access is what a container's user may do with a bind mount, by its owner and mode; ACLs and what is below it may differ.
type Access string

// The kinds of access. Unknown is where only the image knows the user's number, or the store chooses the IDs.
const (
	AccessWrite   Access = "write"
	AccessRead    Access = "read"
	AccessNone    Access = "none"
	AccessUnknown Access = "unknown"
)

// nobody is how an owner is seen who is none of a user namespace (user_namespaces(7), overflowuid).
const nobody = 65534

// Bind is a bind mount of a container, and what its user may do there.
type Bind struct {
	Source, Target string
	ReadOnly       bool
	Mode           fs.FileMode
	// UID and GID are the owner's in the container, 65534 with Foreign: none of its user namespace.
	UID, GID int
	Foreign  bool
	// Mine says that it belongs to the caller, who is not root.
	Mine bool
	// User is whom the container runs as, "UID:GID", or with Named a name whose number nobody here knows: the image is not in
	// the store, or does not have it.
	User   string
	Named  bool
	Access Access
	// Host is what User's numbers are on the host, for chown(1); "" where they are not known.
	Host string
}

// Binds looks at what a container's bind mounts show, in the order of the mounts. Of a source that is not there nothing is
// said: it will be the caller's. It changes nothing.
func Binds(e *Engine, c pod.Container) ([]Bind, error) {
	ids, err := idMaps(c.Isolation.User)
	if err != nil {
		return nil, err
	}
	n := names{auto: ids != nil && ids.Auto}
	if ids != nil && !ids.Auto {
		n.uids, n.gids = ids.UIDs, ids.GIDs
	} else {
		uids, gids, err := userns.Mapped()
		if err != nil {
			return nil, err
		}
		n.uids, n.gids = []idtools.IDMap{{Size: uids}}, []idtools.IDMap{{Size: gids}}
	}
	who := ""
	var all []Bind
	for _, m := range c.Mounts {
		var st unix.Stat_t
		if m.Type != pod.MountBind || unix.Stat(m.Source, &st) != nil {
			continue
		}
		if who == "" {
			who = whoOf(e, c)
		}
		all = append(all, n.bind(c, m, st, who))
	}
	return all, nil
}

// whoOf is whom a container runs as, in numbers where its image is in the store: names are those of its account files.
func whoOf(e *Engine, c pod.Container) string {
	store, id := storedImage(e, c.Image)
	if store == nil {
		return cmp.Or(whoRuns(c, image.RunConfig{}), "0:0")
	}
	config, _ := store.Config(id) // one that cannot be read says nothing
	who := cmp.Or(whoRuns(c, config), "0:0")
	if _, _, ok := numbers(who); ok {
		return who
	}
	root, err := store.Storage().MountImage(id, nil, "")
	if err != nil {
		return who
	}
	found, err := rootfs.User(root, who, nil)
	if _, unmountErr := store.Storage().UnmountImage(id, false); err != nil || unmountErr != nil {
		return who
	}
	return fmt.Sprintf("%d:%d", found.UID, found.GID)
}

// storedImage finds an image by its name; nil where it, or the whole store, is not there yet.
func storedImage(e *Engine, ref string) (store *image.Store, id string) {
	if _, err := os.Stat(filepath.Join(image.ReadSetup().Storage.GraphRoot, "overlay-images")); err != nil || ref == "" {
		return nil, ""
	}
	store, err := e.store()
	if err != nil {
		return nil, ""
	}
	found, err := store.Lookup(ref)
	if err != nil {
		return nil, ""
	}
	return store, found.ID
}

// names are the IDs of a container's user namespace in terms of this process's.
type names struct {
	uids, gids []idtools.IDMap
	// auto is that the store will choose them.
	auto bool
}

func (n names) bind(c pod.Container, m pod.Mount, st unix.Stat_t, who string) Bind {
	b := Bind{Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly, Mode: fs.FileMode(st.Mode & 0o777), User: who, Access: AccessUnknown}
	folder := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if folder {
		b.Mode |= fs.ModeDir
	}
	rootless := userns.Rootless()
	b.Mine = rootless && st.Uid == 0
	uid, knowsUID := idInside(n.uids, int(st.Uid))
	gid, knowsGID := idInside(n.gids, int(st.Gid))
	// Of a user's namespace nobody is who is not in it, too.
	knowsUID, knowsGID = knowsUID && !(rootless && st.Uid == nobody), knowsGID && !(rootless && st.Gid == nobody)
	b.UID, b.GID, b.Foreign = uid, gid, !knowsUID
	if !knowsUID {
		b.UID = nobody
	}
	if !knowsGID {
		b.GID = nobody
	}
	user, group, ok := numbers(who)
	b.Named = !ok
	if !ok || n.auto {
		return b
	}
	b.User = fmt.Sprintf("%d:%d", user, group)
	if u, ok := idOutside(n.uids, user); ok {
		if g, ok := idOutside(n.gids, group); ok {
			b.Host = fmt.Sprintf("%d:%d", u, g)
		}
	}
	class := 0
	switch {
	case knowsUID && user == uid:
		class = 6
	case knowsGID && group == gid:
		class = 3
	}
	// CAP_DAC_OVERRIDE is for what belongs to the namespace (capabilities(7)).
	overrides := user == 0 && knowsUID && knowsGID && !slices.ContainsFunc(c.Isolation.CapDrop, func(name string) bool {
		name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
		return name == "ALL" || name == "DAC_OVERRIDE"
	})
	b.Access = accessBy(st.Mode>>class, folder)
	if overrides {
		b.Access = AccessWrite
	}
	return b
}

// accessBy reads three permission bits. What is in a folder is reached by its execute bit.
func accessBy(bits uint32, folder bool) Access {
	const read, write, execute = 4, 2, 1
	switch {
	case bits&read == 0 || folder && bits&execute == 0:
		return AccessNone
	case bits&write == 0:
		return AccessRead
	}
	return AccessWrite
}

// numbers reads UID[:GID]; without a group it is root's, where the image does not know the user.
func numbers(who string) (uid, gid int, ok bool) {
	if who == "root" {
		return 0, 0, true
	}
	u, g, grouped := strings.Cut(who, ":")
	uid, err := strconv.Atoi(u)
	if err == nil && grouped {
		gid, err = strconv.Atoi(g)
	}
	return uid, gid, err == nil
}

func idInside(maps []idtools.IDMap, id int) (int, bool) {
	for _, m := range maps {
		if id >= m.HostID && id-m.HostID < m.Size {
			return m.ContainerID + id - m.HostID, true
		}
	}
	return 0, false
}

func idOutside(maps []idtools.IDMap, id int) (int, bool) {
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + id - m.ContainerID, true
		}
	}
	return 0, false
}
