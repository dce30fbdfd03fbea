package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
)

// Kernels: openat2(2) and pidfd_getfd(2) came with 5.6, overlay mounts of users with 5.11.
const (
	kernelFloor     = "5.6"
	kernelFloorUser = "5.11"
)

func kernel(m Machine) []Finding {
	f := finding("kernel", "Linux "+m.Kernel, "pods are made of its namespaces, pidfds and mounts")
	floor, what := kernelFloor, "openat2 and pidfd_getfd, by which containers' files and output are held,"
	if !m.User.root() {
		floor, what = kernelFloorUser, "overlay mounts of users"
	}
	if older(m.Kernel, floor) {
		return f.but(Missing, what+" came with Linux "+floor, "# install a kernel of at least "+floor+" and reboot")
	}
	return f.alone()
}

// older compares versions number by number: "5.10.3-amd64" is older than "5.11".
func older(version, floor string) bool {
	have, want := numbers(version), numbers(floor)
	for i, n := range want {
		if i >= len(have) || have[i] != n {
			return i >= len(have) || have[i] < n
		}
	}
	return false
}

// numbers are those a version begins with.
func numbers(version string) []int {
	var list []int
	for _, part := range strings.Split(version, ".") {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(part)
		}
		n, err := strconv.Atoi(part[:end])
		if err != nil {
			return list
		}
		list = append(list, n)
		if end < len(part) {
			break
		}
	}
	return list
}

func clock(m Machine) []Finding {
	f := finding("clock", m.Clock.Now, "registries' certificates are valid for a time")
	if m.Clock.Behind {
		return f.but(Warning, "it is behind the day pcompose was built: certificates of registries look not yet valid, and pulls fail", m.sudo("timedatectl set-ntp true"))
	}
	if !m.Clock.Synchronized {
		f.Found += ", set by no time server"
	}
	return f.alone()
}

// limiting are the controllers that Compose files set limits by.
func limiting() []string { return []string{"cpu", "cpuset", "io", "memory", "pids"} }

func cgroups(m Machine) []Finding {
	const why = "limits of services (mem_limit, cpus, pids_limit), pause and stats"
	c := m.Cgroups
	f := finding("cgroups", strings.TrimSpace(c.Version+" "+strings.Join(c.Controllers, " ")), why)
	switch {
	case c.Version == "":
		f.Found = "none at /sys/fs/cgroup"
		return f.but(Missing, "a container's processes are held and limited by its cgroup", m.sudo("mount -t cgroup2 cgroup2 /sys/fs/cgroup"))
	case c.Version == "hybrid" && len(c.Unified) > 0 && m.Runtime.Kind == "crun":
		f.Found += "; with controllers in v2: " + strings.Join(c.Unified, " ")
		return f.but(Missing, "crun refuses hybrid cgroups whose v2 side has controllers", moveToV1(m, c.Unified)...)
	case m.User.root():
		return f.lacking(why, missing(limiting(), c.Controllers, c.Version),
			"# enable them when the machine boots: cgroup_enable=memory, or no cgroup_disable=, on the kernel's command line")
	case c.Version != "v2":
		return f.but(Warning, "limits of services are not set: cgroups v1 cannot be delegated to users",
			"# boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line")
	}
	f.Found = "v2, delegated to " + m.User.Name + ": " + strings.Join(c.Delegated, " ")
	if len(c.Delegated) == 0 {
		f.Found = "v2, nothing delegated to " + m.User.Name + " here"
	}
	return f.lacking(why, missing(limiting(), c.Delegated, "v2"), m.delegate()...)
}

// delegate are commands that give a user the controllers: a scope of their systemd, once that has them all.
func (m Machine) delegate() (fix []string) {
	if !m.Systemd {
		return []string{"# give " + m.User.Name + " a cgroup of their own with these controllers"}
	}
	if len(missing(limiting(), m.Cgroups.Manager, "v2")) > 0 {
		const dir = "/etc/systemd/system/user@.service.d"
		fix = append(fix, m.sudo("mkdir -p "+dir)+` && printf '[Service]\nDelegate=`+strings.Join(limiting(), " ")+`\n' | sudo tee `+dir+"/delegate.conf && "+
			m.sudo("systemctl daemon-reload")+"  # then log in anew")
	}
	return append(fix, "systemd-run --user --scope -p Delegate=yes pcompose up -d")
}

// lacking is a finding of controllers that are not there.
func (f Finding) lacking(why string, absent []string, fix ...string) []Finding {
	if len(absent) == 0 {
		return f.alone()
	}
	return f.but(Warning, why+" go without "+strings.Join(absent, ", "), fix...)
}

// missing are the wanted controllers that there are not. In v1 io is called blkio.
func missing(want, have []string, version string) []string {
	var list []string
	for _, name := range want {
		called := name
		if name == "io" && version != "v2" {
			called = "blkio"
		}
		if !slices.Contains(have, called) {
			list = append(list, called)
		}
	}
	return list
}

// moveToV1 mounts controllers as v1, which takes them out of v2.
func moveToV1(m Machine, controllers []string) []string {
	var fix []string
	for _, name := range controllers {
		dir := "/sys/fs/cgroup/" + name
		fix = append(fix, m.sudo("mkdir -p "+dir)+" && "+m.sudo(fmt.Sprintf("mount -t cgroup -o %s %s %s", name, name, dir)))
	}
	return fix
}

// confinement is what is there besides namespaces; nothing of it is needed.
func confinement(m Machine) []Finding {
	var list []string
	if s := m.Security.SELinux; s != "" {
		list = append(list, "SELinux "+s)
	}
	if a := m.Security.AppArmor; a != "" {
		list = append(list, "AppArmor "+a)
	}
	f := finding("security modules", "none", "they confine containers beside namespaces; pods do without")
	if len(list) > 0 {
		f.Found = strings.Join(list, ", ")
	}
	if m.Security.SELinux == "enforcing" {
		f.Why = "it confines containers: bind mounts of files that containers may not read need :z or :Z"
	}
	return f.alone()
}

func seccomp(m Machine) []Finding {
	f := finding("seccomp", "in the kernel", "keeps containers from system calls that they do not need")
	if !m.Security.Seccomp {
		f.Found = "not in the kernel"
		return f.but(Warning, "nothing keeps containers from system calls that they do not need", "# use a kernel with CONFIG_SECCOMP_FILTER=y")
	}
	if m.Runtime.Kind == Builtin && !m.Runtime.BuiltinSeccomp {
		f.Found = "in the kernel, not in the built-in runtime of this build"
		return f.but(Warning, "nothing keeps containers from system calls that they do not need", m.install("crun"))
	}
	return f.alone()
}

func disks(m Machine) []Finding {
	const low, none = 1 << 30, 32 << 20
	var list []Finding
	for _, d := range m.Disks {
		f := finding("disk for "+d.For, fmt.Sprintf("%s free at %s", units.BytesSize(float64(d.Free)), d.Path), "what fills it stops services and leaves them stopped")
		clean := "pcompose image prune -a && pcompose volume prune"
		if d.For == Run {
			clean = "du -xh " + d.Path + "  # what of it can go?"
		}
		switch {
		case d.ReadOnly:
			f.Found = d.Path + " is read-only"
			f = f.but(Missing, "nothing can be kept there", "# mount it for writing, or choose another place with --root, --runroot or storage.conf")[0]
		case d.Free < none:
			f = f.but(Missing, "there is no room for "+d.For, clean)[0]
		case d.Inodes > 0 && d.FreeInodes < d.Inodes/100:
			f.Found = fmt.Sprintf("%d of %d inodes free at %s", d.FreeInodes, d.Inodes, d.Path)
			f = f.but(Warning, "an image has thousands of files, and each takes an inode", clean)[0]
		case d.Free < low && d.For != Run:
			f = f.but(Warning, "one image may take more", clean)[0]
		}
		list = append(list, f)
	}
	return list
}

// Run is what Disk.For is of the directory that does not outlive a reboot, which needs little.
const Run = "what runs"

func inotify(m Machine) []Finding {
	const watches, instances = 65536, 128
	f := finding("inotify", fmt.Sprintf("%d watches, %d instances a user", m.Inotify.Watches, m.Inotify.Instances), "each folder that is watched, and each reader of logs, takes one")
	switch {
	case m.Inotify.Watches == 0 || m.Inotify.Instances == 0:
		f.Found = "not in the kernel"
		return f.but(Missing, "logs are followed by it", "# use a kernel with CONFIG_INOTIFY_USER=y")
	case m.Inotify.Watches < watches:
		return f.but(Warning, "a project with many folders, node_modules among them, cannot be watched", m.sysctl("fs.inotify.max_user_watches", "524288"))
	case m.Inotify.Instances < instances:
		return f.but(Warning, "each reader of logs takes one", m.sysctl("fs.inotify.max_user_instances", "1024"))
	}
	return f.alone()
}

func openFiles(m Machine) []Finding {
	f := finding("open files", fmt.Sprintf("at most %d", m.OpenFiles), "a service may ask for so many (ulimits: nofile)")
	if m.MayRaise {
		f.Found += ", which root may raise"
		return f.alone()
	}
	if m.OpenFiles < 8192 {
		return f.but(Warning, "databases and proxies want more; what services ask beyond is cut to it",
			m.write(m.User.Name+" hard nofile 524288", "/etc/security/limits.conf")+"  # then log in anew")
	}
	return f.alone()
}
