package engine

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/ocispec"
	"github.com/pcompose/pcompose/engine/rootfs"
	"github.com/pcompose/pcompose/engine/userns"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/runtime"
	"go.podman.io/storage/pkg/idtools"
)

// idMaps are the IDs that the root of a container is made with, for its own user namespace; nil for the pod's.
func idMaps(ns pod.UserNS) (*rootfs.IDs, error) {
	switch ns.Mode {
	case pod.UserNSPod:
		return nil, nil
	case pod.UserNSMapped:
		return &rootfs.IDs{UIDs: idtoolsMaps(ns.UIDs), GIDs: idtoolsMaps(ns.GIDs)}, nil
	case pod.UserNSAuto:
		return &rootfs.IDs{Auto: true, Size: ns.Size}, nil
	case pod.UserNSKeepID, pod.UserNSNoMap:
		uids, gids, err := userns.Mapped()
		if err != nil {
			return nil, err
		}
		if ns.Mode == pod.UserNSKeepID {
			uid, gid := keptIDs(ns)
			return &rootfs.IDs{UIDs: kept(uid, uids), GIDs: kept(gid, gids)}, nil
		}
		if !userns.Rootless() {
			return nil, errors.New("userns_mode nomap is for users who are not root: root's own ID is in every namespace of root's")
		}
		if min(uids, gids) < 2 {
			return nil, errors.New("userns_mode nomap needs a range of IDs in /etc/subuid and /etc/subgid: without the user's own there is none")
		}
		return &rootfs.IDs{UIDs: []idtools.IDMap{{HostID: 1, Size: uids - 1}}, GIDs: []idtools.IDMap{{HostID: 1, Size: gids - 1}}}, nil
	}
	return nil, fmt.Errorf("no such user namespace: %q", ns.Mode)
}

// keptIDs are the IDs that the caller has inside, with keep-id.
func keptIDs(ns pod.UserNS) (uid, gid int) {
	uid, gid = userns.UID(), userns.GID()
	if ns.UID != nil {
		uid = int(*ns.UID)
	}
	if ns.GID != nil {
		gid = int(*ns.GID)
	}
	return uid, gid
}

// kept has ID 0 of so many mean id inside, and the others the rest, in order.
func kept(id, count int) []idtools.IDMap {
	below := min(id, count-1)
	maps := []idtools.IDMap{{ContainerID: id, HostID: 0, Size: 1}}
	if below > 0 {
		maps = append([]idtools.IDMap{{ContainerID: 0, HostID: 1, Size: below}}, maps...)
	}
	if rest := count - 1 - below; rest > 0 {
		maps = append(maps, idtools.IDMap{ContainerID: id + 1, HostID: below + 1, Size: rest})
	}
	return maps
}

func idtoolsMaps(maps []pod.IDMap) []idtools.IDMap {
	var all []idtools.IDMap
	for _, m := range maps {
		all = append(all, idtools.IDMap{ContainerID: int(m.Container), HostID: int(m.Host), Size: int(m.Count)})
	}
	return all
}

func specMaps(maps []idtools.IDMap) []specs.LinuxIDMapping {
	var all []specs.LinuxIDMapping
	for _, m := range maps {
		all = append(all, specs.LinuxIDMapping{ContainerID: uint32(m.ContainerID), HostID: uint32(m.HostID), Size: uint32(m.Size)})
	}
	return all
}

// readIDs reads the IDs that the container's root was made with.
func (b *bundle) readIDs(in *ocispec.Input) error {
	roots, err := b.project.engine.roots()
	if err != nil {
		return err
	}
	uids, gids, err := roots.IDs(b.record.ID)
	if err != nil {
		return err
	}
	b.ids = idtools.NewIDMappingsFromMaps(uids, gids)
	in.UIDs, in.GIDs = specMaps(uids), specMaps(gids)
	// runc and what it is made of (libcontainer, HostRootUID) become user 0 on the way.
	if kind := kindOf(b.project.engine, b.record.Container); len(uids) > 0 && !rooted(uids, gids) && (kind == runtime.Runc || kind == runtime.BuiltIn) {
		return fmt.Errorf("its user namespace has no user and group 0, without which the OCI runtime %s starts nothing: install crun, or have them mapped", kind)
	}
	return nil
}

// rooted says whether user and group 0 are among those of a user namespace.
func rooted(maps ...[]idtools.IDMap) bool {
	return !slices.ContainsFunc(maps, func(list []idtools.IDMap) bool {
		return !slices.ContainsFunc(list, func(m idtools.IDMap) bool { return m.ContainerID == 0 && m.Size > 0 })
	})
}

// outside is what IDs of the container are in this process's namespace.
func (b *bundle) outside(uid, gid int) (int, int, error) {
	if b.ids == nil || b.ids.Empty() {
		return uid, gid, nil
	}
	pair, err := b.ids.ToHost(idtools.IDPair{UID: uid, GID: gid})
	if err != nil {
		return 0, 0, fmt.Errorf("user %d:%d is none of its user namespace", uid, gid)
	}
	return pair.UID, pair.GID, nil
}

// whoRuns is the user that a container's process runs as: the file's, the caller where their ID is kept, the image's.
func whoRuns(c pod.Container, config image.RunConfig) string {
	switch {
	case c.User != "":
		return c.User
	case c.Isolation.User.Mode == pod.UserNSKeepID:
		uid, gid := keptIDs(c.Isolation.User)
		return fmt.Sprintf("%d:%d", uid, gid)
	}
	return config.User
}

// account is a file of accounts with the caller in it, where the image does not know the ID that the caller keeps.
func (b *bundle) account() ([]ocispec.FileMount, error) {
	ns := b.record.Container.Isolation.User
	if ns.Mode != pod.UserNSKeepID {
		return nil, nil
	}
	uid, gid := keptIDs(ns)
	name := "user"
	if u, err := user.LookupId(strconv.Itoa(userns.UID())); err == nil {
		name = u.Username
	}
	home := cmp.Or(b.record.Container.WorkingDir, b.config.WorkingDir, "/")
	content, err := rootfs.WithAccount(b.root, fmt.Sprintf("%s:*:%d:%d:%s:%s:/bin/sh\n", name, uid, gid, name, home), uid)
	if err != nil || content == nil {
		return nil, err
	}
	path := filepath.Join(b.dir, "passwd")
	return []ocispec.FileMount{{Source: path, Target: "/etc/passwd"}}, os.WriteFile(path, content, 0o644)
}
