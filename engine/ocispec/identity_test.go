package ocispec

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Who is not in the namespace cannot run, and groups that are not there are left out; with one group none can be set.
func TestIdentities(t *testing.T) {
	shifted := []specs.LinuxIDMapping{{ContainerID: 999, HostID: 0, Size: 1}}
	for _, c := range []struct {
		name   string
		in     identities
		user   User
		groups []uint32
		err    string
	}{
		{name: "all there are", user: User{UID: 4e9, GID: 7, Groups: []uint32{5}}, groups: []uint32{5}},
		{name: "one", in: identities{host: Host{UIDs: 1, GIDs: 1}}, user: User{Groups: []uint32{0, 5}}},
		{name: "another than the one", in: identities{host: Host{UIDs: 1, GIDs: 1}}, user: User{UID: 33, GID: 34}, err: "keep-id:uid=33,gid=34"},
		{name: "made the one", in: identities{shifted, shifted, Host{UIDs: 1, GIDs: 1}}, user: User{UID: 999, GID: 999, Groups: []uint32{999}}},
		{name: "a short range", in: identities{host: Host{UIDs: 1001, GIDs: 1001}}, user: User{UID: 1000, Groups: []uint32{1000, 1001}}, groups: []uint32{1000}},
		{name: "behind a short range", in: identities{host: Host{UIDs: 1001, GIDs: 1001}}, user: User{UID: 1001}, err: "user 1001:0, who is none of its user namespace"},
		{name: "a group that is not there", in: identities{shifted, shifted, Host{}}, user: User{UID: 999}, err: "user 999:0"},
	} {
		got, err := c.in.user(c.user, nil)
		if err == nil && c.err != "" || err != nil && (c.err == "" || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.err)
		}
		if err == nil && (got.UID != c.user.UID || !slices.Equal(got.AdditionalGids, c.groups)) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
