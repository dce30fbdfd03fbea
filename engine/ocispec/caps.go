package ocispec

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pcompose/pcompose/pod"
)

// DefaultCapabilities are podman's eleven: docker's without NET_RAW, MKNOD and AUDIT_WRITE.
func DefaultCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
		"CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
	}
}

// capNames brings names as users write them to CAP_NAME; all says whether ALL was among them.
func capNames(names []string) (list []string, all bool, err error) {
	for _, name := range names {
		switch full, ok := pod.Capability(name); {
		case !ok:
			return nil, false, fmt.Errorf("unknown capability %q", name)
		case full == pod.AllCapabilities:
			all = true
		default:
			list = append(list, full)
		}
	}
	return list, all, nil
}

// capabilities of the process. Where a capability is both added and dropped it is added, as docker does.
func (b *builder) capabilities() (*specs.LinuxCapabilities, error) {
	iso := b.c.Isolation
	add, addAll, err := capNames(iso.CapAdd)
	if err != nil {
		return nil, err
	}
	drop, dropAll, err := capNames(iso.CapDrop)
	if err != nil {
		return nil, err
	}
	base := DefaultCapabilities()
	switch {
	case addAll && dropAll:
		return nil, fmt.Errorf("cap_add and cap_drop both say ALL")
	case addAll || iso.Privileged:
		base = pod.Capabilities()
	case dropAll:
		base = nil
	}
	base = slices.DeleteFunc(base, func(c string) bool { return slices.Contains(drop, c) })
	bounding := b.in.Host.grantable(append(base, add...))
	for _, c := range add {
		if !slices.Contains(bounding, c) {
			b.warn("capability %s is not granted: this process does not have it itself", c)
		}
	}
	if b.in.User.UID == 0 {
		return rootCaps(bounding), nil
	}
	// A user who is not root holds what was added by name, through the ambient set: nothing else survives execve(2).
	// The bounding set stays, for setuid programs.
	return &specs.LinuxCapabilities{Bounding: bounding, Effective: b.in.Host.grantable(add), Permitted: b.in.Host.grantable(add),
		Inheritable: b.in.Host.grantable(add), Ambient: b.in.Host.grantable(add)}, nil
}

// rootCaps leave inheritable and ambient empty: with them a program with file capabilities gets more than it should
// (CVE-2022-29162).
func rootCaps(set []string) *specs.LinuxCapabilities {
	return &specs.LinuxCapabilities{Bounding: set, Effective: slices.Clone(set), Permitted: slices.Clone(set)}
}

// grantable is what the host's bounding set lets through, sorted, each once.
func (h Host) grantable(caps []string) []string {
	list := slices.Clone(caps)
	if h.Caps != nil {
		list = slices.DeleteFunc(list, func(c string) bool { return !slices.Contains(h.Caps, c) })
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// execCapabilities follow the user of the exec: root has the container's bounding set, another user what the container's
// own non-root process has, or nothing.
func execCapabilities(base *specs.Process, uid uint32, privileged bool, h Host) *specs.LinuxCapabilities {
	if base.Capabilities == nil {
		return nil
	}
	bounding := slices.Clone(base.Capabilities.Bounding)
	if privileged {
		bounding = h.grantable(pod.Capabilities())
	}
	if uid == 0 {
		return rootCaps(bounding)
	}
	ambient := base.Capabilities.Ambient
	return &specs.LinuxCapabilities{Bounding: bounding, Effective: slices.Clone(ambient), Permitted: slices.Clone(ambient),
		Inheritable: slices.Clone(ambient), Ambient: slices.Clone(ambient)}
}
