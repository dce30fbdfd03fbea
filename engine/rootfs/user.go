package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/sys/user"
)

// Identity is who a container's process runs as.
type Identity struct {
	UID, GID int
	// Groups are the additional groups, sorted by the order of /etc/group.
	Groups []int
	// Home is the home directory, "/" for a user that /etc/passwd does not know.
	Home string
}

// ErrNoUser is what errors are about a user or a group that the image does not have.
var ErrNoUser = errors.New("no such user")

// errNoUser says which.
type errNoUser struct{ text string }

func (e errNoUser) Error() string { return e.text }

func (errNoUser) Is(target error) bool { return target == ErrNoUser }

// User resolves a user as an image or a Compose file names it ("", uid, name, uid:gid, name:group) and additional
// groups, by the account files inside a mounted root. "" is root. Numbers need no account; names do.
func User(root, spec string, groups []string) (Identity, error) {
	passwd, err := readInside(root, "/etc/passwd")
	if err != nil {
		return Identity{}, fmt.Errorf("cannot read the image's /etc/passwd: %w", err)
	}
	group, err := readInside(root, "/etc/group")
	if err != nil {
		return Identity{}, fmt.Errorf("cannot read the image's /etc/group: %w", err)
	}
	defaults := &user.ExecUser{Home: "/"}
	found, err := user.GetExecUser(spec, defaults, bytes.NewReader(passwd), bytes.NewReader(group))
	name, groupName, _ := strings.Cut(spec, ":")
	switch {
	case errors.Is(err, user.ErrNoPasswdEntries):
		return Identity{}, errNoUser{fmt.Sprintf("no user %q in the image's /etc/passwd", name)}
	case errors.Is(err, user.ErrNoGroupEntries):
		return Identity{}, errNoUser{fmt.Sprintf("no group %q in the image's /etc/group", groupName)}
	case err != nil:
		return Identity{}, fmt.Errorf("user %q is not valid: %w", spec, err)
	}
	id := Identity{UID: found.Uid, GID: found.Gid, Groups: found.Sgids, Home: found.Home}
	if id.Home == "" {
		id.Home = "/"
	}
	for _, g := range groups {
		gids, err := user.GetAdditionalGroups([]string{g}, bytes.NewReader(group))
		if err != nil {
			return Identity{}, fmt.Errorf("no group %q in the image's /etc/group", g)
		}
		for _, gid := range gids {
			if !slices.Contains(id.Groups, gid) {
				id.Groups = append(id.Groups, gid)
			}
		}
	}
	return id, nil
}

// WithAccount is the image's /etc/passwd with one more line, for a user ID; nil where the image knows the ID.
func WithAccount(root, line string, uid int) ([]byte, error) {
	passwd, err := readInside(root, "/etc/passwd")
	if err != nil {
		return nil, fmt.Errorf("cannot read the image's /etc/passwd: %w", err)
	}
	known, err := user.ParsePasswdFilter(bytes.NewReader(passwd), func(u user.User) bool { return u.Uid == uid })
	if err != nil || len(known) > 0 {
		return nil, err
	}
	if len(passwd) > 0 && passwd[len(passwd)-1] != '\n' {
		passwd = append(passwd, '\n')
	}
	return append(passwd, line...), nil
}
