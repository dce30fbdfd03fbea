package pod

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// UserNSMode says which user namespace a container is in.
type UserNSMode string

const (
	// UserNSPod, "", is the one that the pod is in: the host's, or the user's.
	UserNSPod UserNSMode = ""
	// UserNSKeepID has the caller's IDs mean the same inside, or those that UID and GID say.
	UserNSKeepID UserNSMode = "keep-id"
	// UserNSNoMap leaves the caller's IDs out.
	UserNSNoMap UserNSMode = "nomap"
	// UserNSAuto has IDs that no other container has.
	UserNSAuto UserNSMode = "auto"
	// UserNSMapped has those of UIDs and GIDs.
	UserNSMapped UserNSMode = "mapped"
)

// UserNS is a container's user namespace.
type UserNS struct {
	Mode UserNSMode `json:",omitempty"`
	// UID and GID are the caller's IDs inside, with UserNSKeepID; nil are the same as outside.
	UID *uint32 `json:",omitempty"`
	GID *uint32 `json:",omitempty"`
	// Size is how many IDs UserNSAuto has; 0 is as many as the image needs.
	Size uint32 `json:",omitempty"`
	// UIDs and GIDs are those of UserNSMapped.
	UIDs []IDMap `json:",omitempty"`
	GIDs []IDMap `json:",omitempty"`
}

// IDMap has Count IDs from Container on mean those from Host on: the host's, for root, and for a user those that
// `unshare -U` shows as inside, where 0 is the user (user_namespaces(7)).
type IDMap struct{ Container, Host, Count uint32 }

// ParseUserNS reads userns_mode: host, keep-id, keep-id:uid=200,gid=210, nomap, auto, auto:size=1024.
func ParseUserNS(text string) (UserNS, error) {
	mode, options, _ := strings.Cut(text, ":")
	var ns UserNS
	switch mode {
	case "", "host", "private":
	case string(UserNSKeepID), string(UserNSNoMap), string(UserNSAuto):
		ns.Mode = UserNSMode(mode)
	default:
		return ns, fmt.Errorf("user namespace %q is not one of host, keep-id, nomap, auto", mode)
	}
	if options == "" {
		return ns, nil
	}
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		n, err := strconv.ParseUint(value, 10, 31)
		id := uint32(n)
		switch {
		case ns.Mode == UserNSKeepID && key == "uid":
			ns.UID = &id
		case ns.Mode == UserNSKeepID && key == "gid":
			ns.GID = &id
		case ns.Mode == UserNSAuto && key == "size":
			ns.Size = id
		default:
			return ns, fmt.Errorf("user namespace %q has no option %q: keep-id has uid and gid, auto has size", mode, key)
		}
		if err != nil {
			return ns, fmt.Errorf("option %q of user namespace %q is no number", option, mode)
		}
	}
	return ns, nil
}

// ParseIDMap reads a mapping, CONTAINER:HOST or CONTAINER:HOST:COUNT, as podman's --uidmap has it.
func ParseIDMap(text string) (IDMap, error) {
	parts := strings.Split(text, ":")
	if len(parts) == 2 {
		parts = append(parts, "1")
	}
	var n [3]uint32
	if len(parts) != len(n) {
		return IDMap{}, fmt.Errorf("mapping %q is not CONTAINER:HOST:COUNT", text)
	}
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return IDMap{}, fmt.Errorf("mapping %q is not CONTAINER:HOST:COUNT, three numbers: %q is none", text, p)
		}
		n[i] = uint32(v)
	}
	m := IDMap{n[0], n[1], n[2]}
	switch end := uint64(1) << 32; {
	case m.Count == 0:
		return m, fmt.Errorf("mapping %q maps no ID", text)
	case uint64(m.Container)+uint64(m.Count) >= end || uint64(m.Host)+uint64(m.Count) >= end:
		return m, errors.New("mapping " + strconv.Quote(text) + " goes beyond the IDs there are")
	}
	return m, nil
}
