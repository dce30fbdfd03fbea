// Package machine looks at this machine, for engine/doctor to judge what it has.
//
// What can be read is read from files; what files do not tell is tried, in namespaces that a process makes for that and
// that end with it. Nothing is left, and nothing that runs is touched.
package machine

import (
	"context"
	"fmt"
	"io/fs"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pcompose/pcompose/engine/doctor"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/userns"
)

// Config says for whom a machine is looked at, and by what means.
type Config struct {
	Tree
	// Kernel is asked what files do not tell.
	Kernel Kernel
	// Getenv gives variables of the user's environment.
	Getenv func(string) string
	User   doctor.User
	// Program is this program's path, Built when its source was committed; zero for unknown.
	Program string
	Built   time.Time
	// Root and RunRoot are the directories of pcompose.
	Root, RunRoot string
	// Setup is what the files that images obey say.
	Setup image.Setup
	// Runtime is the OCI runtime that pods would get, without its version.
	Runtime doctor.Runtime
	// Init is the init program that containers would get, "" for none.
	Init string
	// Delegated are the controllers of cgroups that pods of the user would have limits by.
	Delegated []string
}

// Kernel is what is asked of a machine beside its files. Here is this one.
type Kernel interface {
	Now() time.Time
	// Synchronized says whether a time server sets the clock.
	Synchronized() bool
	// Release is the kernel's.
	Release() string
	// Disk is the file system of a path that is there.
	Disk(path string) (doctor.Disk, error)
	// OpenFiles is the hard limit, and whether it may be raised.
	OpenFiles() (limit uint64, mayRaise bool)
	// MayMapIDs says whether a program has a file capability for it, setuid or setgid.
	MayMapIDs(path string) bool
	// Output is what a program prints, on either stream.
	Output(ctx context.Context, argv ...string) (string, error)
	// Writable says whether the user may write to a file.
	Writable(path string) bool
	// OpenTun opens /dev/net/tun.
	OpenTun() error
	// Try makes namespaces, and in them an overlay mount in dir and what a pod's network is made of.
	Try(ctx context.Context, dir string) Trial
}

// Look finds the facts. What cannot be found is said in them, in their own words.
func Look(ctx context.Context, c Config) doctor.Machine {
	m := doctor.Machine{
		User: c.User, Kernel: c.Kernel.Release(), Program: c.Program, Init: c.Init,
		Systemd:      c.exists("run/systemd/system"),
		Distribution: c.distribution(),
		Cgroups:      c.cgroups(),
		Security:     c.security(),
		SubUIDs:      c.subIDs("etc/subuid"),
		SubGIDs:      c.subIDs("etc/subgid"),
		NewUIDMap:    c.idProgram("newuidmap"),
		NewGIDMap:    c.idProgram("newgidmap"),
		RunDir:       c.runDir(),
		Storage:      c.storage(),
		Runtime:      c.runtime(ctx),
		CRIU:         c.criu(ctx),
		Registries:   c.registries(),
		Policy:       doctor.Policy{File: c.Setup.Policy.File, Default: c.Setup.Policy.Default, Error: text(c.Setup.Policy.Err)},
		Logins:       c.logins(),
		Inotify:      doctor.Inotify{Watches: c.sysctl("fs/inotify/max_user_watches", 0), Instances: c.sysctl("fs/inotify/max_user_instances", 0)},
		LowestPort:   c.sysctl("net/ipv4/ip_unprivileged_port_start", 1024),
		Forwarding:   c.sysctl("net/ipv4/ip_forward", 0) == 1,
		SysReadOnly:  c.mount("/proc/sys").readOnly,
	}
	now := c.Kernel.Now()
	m.Clock = doctor.Clock{Behind: now.Before(c.Built), Now: now.UTC().Format("2006-01-02 15:04 UTC"), Synchronized: c.Kernel.Synchronized()}
	m.OpenFiles, m.MayRaise = c.Kernel.OpenFiles()
	for _, d := range []struct{ what, path string }{{"images", c.Setup.Storage.GraphRoot}, {"volumes and logs", c.Root}, {doctor.Run, c.RunRoot}} {
		if disk, err := c.Kernel.Disk(c.existing(d.path)); err == nil && d.path != "" {
			disk.For = d.what
			m.Disks = append(m.Disks, disk)
		}
	}
	trial := c.Kernel.Try(ctx, c.existing(c.Setup.Storage.GraphRoot))
	m.Storage.OverlayError = trial.Overlay
	m.Userns = doctor.Userns{
		Error: trial.Userns, Max: c.sysctl("user/max_user_namespaces", -1),
		Clone: c.line("proc/sys/kernel/unprivileged_userns_clone"), AppArmor: c.line("proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
	}
	m.Network = doctor.Network{Veth: trial.Veth, Bridge: trial.Bridge, Rules: trial.Rules, Tun: text(c.Kernel.OpenTun())}
	if m.Network.Pasta = c.Find("pasta"); m.Network.Pasta != "" {
		m.Network.PastaVersion = c.version(ctx, m.Network.Pasta)
	}
	return m
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Find finds a program as a shell does, and where the programs of root are.
func (c Config) Find(name string) string {
	for _, dir := range append(filepath.SplitList(c.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin") {
		file := path.Join(dir, name)
		if !path.IsAbs(dir) {
			continue
		}
		if st, err := fs.Stat(c.FS, file[1:]); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// Says is what a program prints for --version, "" where it fails.
func (c Config) Says(ctx context.Context, program string) string {
	out, err := c.Kernel.Output(ctx, program, "--version")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// version is the first word that begins with a digit in the first line of what --version prints: "crun version 1.21",
// "Version: 4.2.1".
func (c Config) version(ctx context.Context, program string) string {
	line, _, _ := strings.Cut(c.Says(ctx, program), "\n")
	for _, word := range strings.Fields(line) {
		if word[0] >= '0' && word[0] <= '9' {
			return word
		}
	}
	return "of unknown version"
}

func (c Config) runtime(ctx context.Context) doctor.Runtime {
	r := c.Runtime
	if r.Path != "" {
		r.Version = c.version(ctx, r.Path)
	}
	return r
}

func (c Config) criu(ctx context.Context) string {
	if program := c.Find("criu"); program != "" {
		return c.version(ctx, program)
	}
	return ""
}

func (c Config) subIDs(file string) doctor.SubIDs {
	count, free := userns.SubIDs(c.FS, file, c.User.Name, c.User.UID)
	return doctor.SubIDs{File: "/" + file, Count: count, Free: free}
}

// idProgram looks for newuidmap or newgidmap, which distributions install set-user-ID root or with a file capability.
func (c Config) idProgram(name string) doctor.IDProgram {
	p := doctor.IDProgram{Path: c.Find(name)}
	if p.Path == "" {
		return p
	}
	st, err := fs.Stat(c.FS, p.Path[1:])
	p.Privileged = err == nil && st.Mode()&fs.ModeSetuid != 0 || c.Kernel.MayMapIDs(p.Path)
	return p
}

// runDir is what is below RunRoot: XDG_RUNTIME_DIR, else what a login would have made, else a temporary folder.
func (c Config) runDir() doctor.RunDir {
	d := doctor.RunDir{Path: path.Dir(c.RunRoot), Lingers: c.exists("var/lib/systemd/linger/" + c.User.Name)}
	xdg := c.Getenv("XDG_RUNTIME_DIR")
	switch usual := fmt.Sprintf("run/user/%d", c.User.UID); {
	case xdg == "" && !c.exists(usual):
		d.Error = "XDG_RUNTIME_DIR is not set, and there is no /" + usual
	case xdg != "" && !c.exists(strings.TrimPrefix(path.Clean(xdg), "/")):
		d.Error = fmt.Sprintf("XDG_RUNTIME_DIR is %s, which is not there", xdg)
	}
	return d
}

// CurrentUser is the user of a number; one that no file names goes by it.
func CurrentUser(uid int) doctor.User {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return doctor.User{UID: uid, Name: u.Username}
	}
	return doctor.User{UID: uid, Name: strconv.Itoa(uid)}
}
