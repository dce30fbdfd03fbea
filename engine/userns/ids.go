package userns

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"go.podman.io/storage/pkg/idtools"
)

// wanted is how many IDs an image may take for granted: 0 to 65535.
const wanted = 65536

// mapping is the arguments of newuidmap: triples of first ID inside, first outside, how many.
type mapping []string

// mapIDs gives a user namespace its IDs: the user's own becomes 0, those of /etc/subuid and /etc/subgid follow. Without
// them it has the one ID. lacks says what that means; "" is that nothing is lacking.
func mapIDs(helper int) (lacks string, err error) {
	who, err := currentUser()
	if err != nil {
		return "", err
	}
	err = mapRanges(helper, who)
	if err == nil {
		return "", nil
	}
	if errors.As(err, new(*shortError)) {
		return err.Error(), nil
	}
	lacks = fmt.Sprintf("%v. Until then containers have one user, root: programs that change their user, `user:` and chown fail, and "+
		"all files of an image are root's. It counts once none of your pods runs; pull images again then", err)
	return lacks, mapSingle(helper, who)
}

// shortError is about ranges that are there, and smaller than images may need.
type shortError struct{ text string }

func (e *shortError) Error() string { return e.text }

// owner is the user whose namespace it is.
type owner struct {
	name     string
	uid, gid int
}

func currentUser() (owner, error) {
	o := owner{uid: os.Geteuid(), gid: os.Getegid()}
	u, err := user.LookupId(strconv.Itoa(o.uid))
	if err == nil {
		o.name = u.Username
	} else if o.name = os.Getenv("USER"); o.name == "" {
		return o, fmt.Errorf("cannot find the user's name: %w", err)
	}
	return o, nil
}

// mapRanges maps by newuidmap and newgidmap. Its error says what is missing, with what to do; a *shortError comes after it
// has mapped what there is.
func mapRanges(helper int, o owner) error {
	ranges, err := idtools.NewIDMappings(o.name, o.name)
	if err != nil {
		ranges = idtools.NewIDMappingsFromMaps(nil, nil)
	}
	uids, gids := ranges.UIDs(), ranges.GIDs()
	if missing := missingRanges(o, uids, gids); missing != "" {
		return errors.New(missing)
	}
	var programs []string
	for _, name := range []string{"newuidmap", "newgidmap"} {
		path, err := exec.LookPath(name)
		if err != nil {
			return fmt.Errorf("%s is not installed (apt install uidmap; dnf install shadow-utils; apk add shadow-uidmap; pacman -S shadow)", name)
		}
		programs = append(programs, path)
	}
	for i, m := range []mapping{triples(o.uid, uids), triples(o.gid, gids)} {
		out, err := exec.Command(programs[i], append([]string{strconv.Itoa(helper)}, m...)...).CombinedOutput()
		if err != nil {
			return explain(programs[i], bytes.TrimSpace(out), err)
		}
	}
	if n := min(size(uids), size(gids)); n < wanted-1 {
		return &shortError{fmt.Sprintf("containers have %d user and group IDs of the %d that images may use: files of higher ones cannot be unpacked: a range of %d in /etc/subuid and /etc/subgid (%s) has them all",
			n+1, wanted, wanted, strings.Join(entries(o), "; "))}
	}
	return nil
}

// explain words a failure of newuidmap or newgidmap, which must be root's with the set-user-ID bit or a capability.
func explain(program string, said []byte, err error) error {
	if strings.Contains(string(said), "write to uid_map failed") || strings.Contains(string(said), "write to gid_map failed") {
		return fmt.Errorf("%s may not map IDs: it lacks its set-user-ID bit or its file capability (sudo chmod u+s %s, or install its package again): %s", program, program, said)
	}
	return fmt.Errorf("%s fails: %s", program, cmp.Or(string(said), err.Error()))
}

// missingRanges says which entries are missing, with the lines to add; "" where none is.
func missingRanges(o owner, uids, gids []idtools.IDMap) string {
	lines := entries(o)
	var files []string
	if len(uids) == 0 {
		files = append(files, lines[0])
	}
	if len(gids) == 0 {
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
	for _, file := range []string{"etc/subuid", "etc/subgid"} {
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

func size(ranges []idtools.IDMap) int {
	n := 0
	for _, r := range ranges {
		n += r.Size
	}
	return n
}

// triples puts the user's own ID at 0 and the ranges behind it, in podman's order: what is stored has the same owner to it.
func triples(own int, ranges []idtools.IDMap) mapping {
	m := mapping{"0", strconv.Itoa(own), "1"}
	for _, r := range ranges {
		m = append(m, strconv.Itoa(r.ContainerID+1), strconv.Itoa(r.HostID), strconv.Itoa(r.Size))
	}
	return m
}

// mapSingle maps the user's own ID alone, which needs no help. Without setgroups(2), which the kernel wants denied
// (user_namespaces(7)).
func mapSingle(helper int, o owner) error {
	dir := fmt.Sprintf("/proc/%d/", helper)
	for _, f := range []struct{ name, text string }{
		{"uid_map", fmt.Sprintf("0 %d 1", o.uid)}, {"setgroups", "deny"}, {"gid_map", fmt.Sprintf("0 %d 1", o.gid)},
	} {
		err := os.WriteFile(dir+f.name, []byte(f.text), 0)
		// newuidmap may have mapped the users before newgidmap failed.
		if err != nil && !(f.name == "uid_map" && mapped(dir+f.name)) {
			return fmt.Errorf("cannot map the user's ID into a user namespace: %w", err)
		}
	}
	return nil
}

func mapped(file string) bool {
	b, err := os.ReadFile(file)
	return err == nil && len(b) > 0
}
