package ocispec

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// identities are the user and group IDs that processes of a container may have.
type identities struct {
	// uids and gids are those of a user namespace of its own, none where it is in the caller's.
	uids, gids []specs.LinuxIDMapping
	host       Host
}

func (in *Input) identities() identities { return identities{in.UIDs, in.GIDs, in.Host} }

func (n identities) hasUID(id uint32) bool { return has(n.uids, n.host.UIDs, id) }
func (n identities) hasGID(id uint32) bool { return has(n.gids, n.host.GIDs, id) }

func has(maps []specs.LinuxIDMapping, count int, id uint32) bool {
	if len(maps) == 0 {
		return count == 0 || int64(id) < int64(count)
	}
	return slices.ContainsFunc(maps, func(m specs.LinuxIDMapping) bool {
		return id >= m.ContainerID && int64(id)-int64(m.ContainerID) < int64(m.Size)
	})
}

// user is who a process runs as; umask nil is the one that images expect. Supplementary groups that there are not are left
// out: an image's root is in some. With one group alone the kernel lets nobody set any (user_namespaces(7), setgroups).
func (n identities) user(u User, umask *uint32) (specs.User, error) {
	if umask == nil {
		umask = new(uint32)
		*umask = 0o022
	}
	if !n.hasUID(u.UID) || !n.hasGID(u.GID) {
		err := fmt.Errorf("it runs as user %d:%d, who is none of its user namespace", u.UID, u.GID)
		if n.host.UIDs == 1 {
			err = fmt.Errorf("%w: without a range of IDs in /etc/subuid and /etc/subgid there is one user, root; "+
				"`pcompose doctor` has the commands that add one, `userns_mode: keep-id:uid=%d,gid=%d` makes this user the one, with crun", err, u.UID, u.GID)
		}
		return specs.User{}, err
	}
	var groups []uint32
	if n.host.GIDs != 1 {
		groups = slices.DeleteFunc(slices.Clone(u.Groups), func(id uint32) bool { return !n.hasGID(id) })
	}
	return specs.User{UID: u.UID, GID: u.GID, AdditionalGids: groups, Umask: umask}, nil
}
