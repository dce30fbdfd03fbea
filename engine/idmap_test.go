package engine

import (
	"reflect"
	"testing"

	"go.podman.io/storage/pkg/idtools"
)

// The caller's ID, 0 here, is the one asked for inside; every other ID there is stays in its order.
func TestKept(t *testing.T) {
	for _, c := range []struct {
		id, count int
		want      []idtools.IDMap
	}{
		{1000, 65537, []idtools.IDMap{{ContainerID: 0, HostID: 1, Size: 1000}, {ContainerID: 1000, HostID: 0, Size: 1}, {ContainerID: 1001, HostID: 1001, Size: 64536}}},
		{0, 10, []idtools.IDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: 1, HostID: 1, Size: 9}}},
		{1000, 1, []idtools.IDMap{{ContainerID: 1000, HostID: 0, Size: 1}}},
		{200000, 11, []idtools.IDMap{{ContainerID: 0, HostID: 1, Size: 10}, {ContainerID: 200000, HostID: 0, Size: 1}}},
	} {
		if got := kept(c.id, c.count); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%d of %d: %v", c.id, c.count, got)
		}
	}
}
