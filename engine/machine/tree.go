package machine

import (
	"bufio"
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Tree is the files of a machine, from its root on.
type Tree struct{ FS fs.FS }

func (t Tree) exists(name string) bool {
	_, err := fs.Stat(t.FS, name)
	return err == nil
}

// line is a file of one line, "" where it is not there.
func (t Tree) line(name string) string {
	b, _ := fs.ReadFile(t.FS, name)
	return strings.TrimSpace(string(b))
}

// sysctl is a number of /proc/sys, or what it is where there is no such sysctl.
func (t Tree) sysctl(name string, otherwise int) int {
	n, err := strconv.Atoi(t.line("proc/sys/" + name))
	if err != nil {
		return otherwise
	}
	return n
}

// existing is a path, or what there is of it.
func (t Tree) existing(p string) string {
	p = path.Clean("/" + p)
	for p != "/" && !t.exists(p[1:]) {
		p = path.Dir(p)
	}
	return p
}

// release reads os-release(5).
func (t Tree) release() map[string]string {
	name := "etc/os-release"
	if !t.exists(name) {
		name = "usr/lib/os-release"
	}
	all := map[string]string{}
	for lines := t.lines(name); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			all[key] = strings.Trim(value, `"'`)
		}
	}
	return all
}

// distribution is what the distribution calls itself, and those it is like.
func (t Tree) distribution() []string {
	release := t.release()
	return strings.Fields(release["ID"] + " " + release["ID_LIKE"])
}

// lines reads a file line by line; one that is not there has none.
func (t Tree) lines(name string) *bufio.Scanner {
	b, _ := fs.ReadFile(t.FS, name)
	return bufio.NewScanner(bytes.NewReader(b))
}

// mounted is what a path is on.
type mounted struct {
	kind     string
	readOnly bool
}

// mount finds the mount that a path is on, the deepest and of these the last (proc_pid_mountinfo(5)).
func (t Tree) mount(p string) mounted {
	file, err := t.FS.Open("proc/self/mountinfo")
	if err != nil {
		return mounted{}
	}
	defer file.Close()
	all, err := mountinfo.GetMountsFromReader(file, mountinfo.ParentsFilter(path.Clean(p)))
	if err != nil {
		return mounted{}
	}
	var found mounted
	deepest := 0
	for _, m := range all {
		if len(m.Mountpoint) >= deepest {
			deepest, found = len(m.Mountpoint), mounted{m.FSType, slices.Contains(strings.Split(m.Options, ","), "ro")}
		}
	}
	return found
}
