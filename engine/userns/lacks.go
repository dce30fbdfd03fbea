package userns

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// wanted is how many IDs an image may take for granted: 0 to 65535.
const wanted = 65536

// The files of subuid(5) and subgid(5), below the root.
const (
	subuid = "etc/subuid"
	subgid = "etc/subgid"
)

// owner is the user whose namespace it is.
type owner struct {
	name     string
	uid, gid int
}

// lacking says what the namespace of this process goes without, with what to do; "" for nothing.
func lacking(s state) (string, error) {
	uids, gids, err := Mapped()
	if err != nil || min(uids, gids) >= wanted {
		return "", err
	}
	o := owner{uid: s.uid, gid: s.gid, name: os.Getenv("USER")}
	if u, err := user.LookupId(strconv.Itoa(s.uid)); err == nil {
		o.name = u.Username
	}
	if n := min(uids, gids); n > 1 {
		return fmt.Sprintf("containers have %d user and group IDs of the %d that images may use: files of higher ones cannot be unpacked: a range of %d in /etc/subuid and /etc/subgid (%s) has them all",
			n, wanted, wanted, strings.Join(entries(o), "; ")), nil
	}
	return whySingle(o, s.said) + ". Until then containers have one user, root: programs that change their user, `user:` and chown fail, and " +
		"all files of an image are root's. It counts once none of your pods runs; pull images again then", nil
}

// whySingle says why newuidmap and newgidmap have mapped nothing, with what to do.
func whySingle(o owner, said string) string {
	uids, _ := SubIDs(os.DirFS("/"), subuid, o.name, o.uid)
	gids, _ := SubIDs(os.DirFS("/"), subgid, o.name, o.uid)
	if missing := missingRanges(o, uids, gids); missing != "" {
		return missing
	}
	return explain(strings.TrimSpace(said))
}

// explain words a failure of newuidmap or newgidmap, which must be root's with the set-user-ID bit or a capability.
func explain(said string) string {
	for _, p := range []struct{ program, file string }{{"newuidmap", "uid_map"}, {"newgidmap", "gid_map"}} {
		if strings.Contains(said, p.program+" is not installed") {
			return p.program + " is not installed (apt install uidmap; dnf install shadow-utils; apk add shadow-uidmap; pacman -S shadow)"
		}
		if strings.Contains(said, "write to "+p.file+" failed") {
			return fmt.Sprintf("%s may not map IDs: it lacks its set-user-ID bit or its file capability (sudo chmod u+s $(command -v %s), or install its package again): %s", p.program, p.program, said)
		}
	}
	return "newuidmap or newgidmap fails: " + cmp.Or(said, "it does not say why")
}

// missingRanges says which entries are missing, with the lines to add; "" where none is.
func missingRanges(o owner, uids, gids int) string {
	lines := entries(o)
	var files []string
	if uids == 0 {
		files = append(files, lines[0])
	}
	if gids == 0 {
		files = append(files, lines[1])
	}
	if len(files) == 0 {
		return ""
	}
	return fmt.Sprintf("user %s has no range of IDs for containers: as root, %s", o.name, strings.Join(files, " and "))
}

// entries are the commands that give a user ranges which nobody has.
func entries(o owner) []string {
	var lines []string
	for _, file := range []string{subuid, subgid} {
		_, free := SubIDs(os.DirFS("/"), file, o.name, o.uid)
		lines = append(lines, fmt.Sprintf("echo %s:%d:%d >> /%s", o.name, free, wanted, file))
	}
	return lines
}

// SubIDs reads a file as subuid(5) has it: how many IDs a user has there, by name or number, and the first behind everybody's.
// useradd begins with 100000.
func SubIDs(root fs.FS, file, name string, uid int) (count, free int) {
	free = 100000
	text, _ := fs.ReadFile(root, file) // one that is not there gives nobody any
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 3 {
			continue
		}
		first, err := strconv.Atoi(fields[1])
		size, sizeErr := strconv.Atoi(fields[2])
		if err != nil || sizeErr != nil {
			continue
		}
		free = max(free, first+size)
		if fields[0] == name || fields[0] == strconv.Itoa(uid) {
			count += size
		}
	}
	return count, free
}
