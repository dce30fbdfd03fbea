package machine

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/engine/doctor"
)

const cgroupRoot = "sys/fs/cgroup"

// cgroups finds out which version there is: v2 has its files at the root, v1 a folder for each hierarchy, and hybrid
// a v2 of its own beside these (systemd's layouts).
func (c Config) cgroups() doctor.Cgroups {
	var g doctor.Cgroups
	if c.exists(cgroupRoot + "/cgroup.controllers") {
		g.Version, g.Controllers = "v2", strings.Fields(c.line(cgroupRoot+"/cgroup.controllers"))
		g.Delegated, g.Manager = c.Delegated, c.managed()
		return g
	}
	entries, _ := fs.ReadDir(c.FS, cgroupRoot)
	for _, e := range entries {
		dir := cgroupRoot + "/" + e.Name()
		if c.exists(dir + "/cgroup.controllers") {
			g.Version, g.Unified = "hybrid", strings.Fields(c.line(dir+"/cgroup.controllers"))
			continue
		}
		// A link, as cpu to cpu,cpuacct, is the same hierarchy.
		if e.IsDir() && c.exists(dir+"/cgroup.procs") && !strings.HasPrefix(e.Name(), "systemd") {
			g.Controllers = append(g.Controllers, strings.Split(e.Name(), ",")...)
		}
	}
	if g.Version == "" && len(g.Controllers) > 0 {
		g.Version = "v1"
	}
	slices.Sort(g.Controllers)
	return g
}

func (c Config) security() doctor.Security {
	var s doctor.Security
	s.Seccomp = c.exists("proc/sys/kernel/seccomp/actions_avail")
	if c.exists("sys/kernel/security/apparmor/profiles") || c.line("sys/module/apparmor/parameters/enabled") == "Y" {
		s.AppArmor = "enabled"
	}
	switch c.line("sys/fs/selinux/enforce") {
	case "1":
		s.SELinux = "enforcing"
	case "0":
		s.SELinux = "permissive"
	}
	return s
}

func (c Config) storage() doctor.Storage {
	s := c.Setup.Storage
	return doctor.Storage{
		Driver: s.Driver, GraphRoot: s.GraphRoot, MountProgram: s.MountProgram, Error: text(s.Err),
		FileSystem:   c.mount(c.existing(s.GraphRoot)).kind,
		OverlayKnown: slices.Contains(strings.Fields(c.line("proc/filesystems")), "overlay"),
	}
}

func (c Config) registries() doctor.Registries {
	s := c.Setup.Registries
	r := doctor.Registries{File: s.File, Search: s.Search, Error: text(s.Err)}
	for _, registry := range s.All {
		for _, mirror := range registry.Mirrors {
			r.Mirrors = append(r.Mirrors, registry.Prefix+" at "+mirror.Location)
		}
	}
	slices.Sort(r.Mirrors)
	return r
}

func (c Config) logins() doctor.Logins {
	s := c.Setup.Logins
	l := doctor.Logins{Files: s.Files, Registries: s.Registries, Error: text(s.Err)}
	for _, file := range s.Files {
		if st, err := fs.Stat(c.FS, strings.TrimPrefix(path.Clean(file), "/")); err == nil && st.Mode().Perm()&0o077 != 0 {
			l.Readable = append(l.Readable, file)
		}
	}
	return l
}

// managed are the controllers that the systemd of a user may set limits by, where the user may write to its cgroup.
func (c Config) managed() []string {
	dir := path.Join(cgroupRoot, fmt.Sprintf("user.slice/user-%d.slice/user@%d.service", c.User.UID, c.User.UID))
	if !c.Kernel.Writable("/" + dir + "/cgroup.procs") {
		return nil
	}
	return strings.Fields(c.line(dir + "/cgroup.controllers"))
}
