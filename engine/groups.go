package engine

import (
	"fmt"
	"os"
	"slices"
)

// keepGroups in group_add means the groups of whoever runs pcompose, as podman has it.
const keepGroups = "keep-groups"

// groups tells the groups that are named, or numbered, from those that the caller has.
func groups(list []string) (named []string, kept []uint32, err error) {
	if !slices.Contains(list, keepGroups) {
		return list, nil, nil
	}
	ids, err := os.Getgroups()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the groups to keep: %w", err)
	}
	for _, id := range ids {
		kept = append(kept, uint32(id))
	}
	return slices.DeleteFunc(slices.Clone(list), func(name string) bool { return name == keepGroups }), kept, nil
}
