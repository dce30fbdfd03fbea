package machine

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.podman.io/image/v5/pkg/sysregistriesv2"

	"github.com/pcompose/pcompose/engine/doctor"
	"github.com/pcompose/pcompose/engine/image"
)

var update = flag.Bool("update", false, "rewrite the facts in testdata")

// paper is a kernel that says what it was told to.
type paper struct {
	trial    Trial
	output   map[string]string
	writable string
}

func (paper) Now() time.Time             { return time.Date(2026, 11, 22, 6, 40, 0, 0, time.UTC) }
func (paper) Synchronized() bool         { return true }
func (paper) Release() string            { return "6.12.48" }
func (paper) OpenFiles() (uint64, bool)  { return 1024, false }
func (paper) MayMapIDs(path string) bool { return strings.HasSuffix(path, "newgidmap") }
func (k paper) Writable(path string) bool {
	return k.writable != "" && strings.HasPrefix(path, k.writable)
}
func (paper) OpenTun() error                        { return errors.New("no such device") }
func (k paper) Try(context.Context, string) Trial   { return k.trial }
func (paper) Disk(path string) (doctor.Disk, error) { return doctor.Disk{Path: path, Free: 7}, nil }
func (k paper) Output(_ context.Context, argv ...string) (string, error) {
	out, ok := k.output[argv[0]]
	if !ok {
		return "", errors.New("no such program")
	}
	return out, nil
}

// files are the machine's. Where a mode matters, the text says which.
func files(all map[string]string) Tree {
	m := fstest.MapFS{}
	for name, text := range all {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		for kind, mode := range map[string]fs.FileMode{"program": 0o755, "setuid": 0o755 | fs.ModeSetuid, "secret": 0o600} {
			if text == kind {
				m[name].Mode = mode
			}
		}
	}
	return Tree{m}
}

func TestLook(t *testing.T) {
	c := Config{
		Tree: files(map[string]string{
			"etc/os-release":                                       "NAME=\"Rocky\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
			"etc/subuid":                                           "# mine\nada:100000:65536\nbob:165536:65536\n1000:300000:10\nbad line\nbob:x:1\n",
			"etc/subgid":                                           "bob:100000:65536\n",
			"home/ada/bin/newuidmap":                               "setuid",
			"usr/bin/newgidmap":                                    "program",
			"usr/bin/pasta":                                        "program",
			"usr/sbin/criu":                                        "program",
			"usr/bin/crun":                                         "program",
			"run/systemd/system/x":                                 "",
			"run/user/1000/bus":                                    "",
			"var/lib/systemd/linger/ada":                           "",
			"sys/fs/cgroup/cgroup.controllers":                     "cpu io memory\n",
			"proc/self/mountinfo":                                  "1 0 8:1 / / rw - ext4 /dev/vda rw\n2 1 8:2 / /home rw - xfs /dev/vdb rw\n3 1 0:5 / /proc rw - proc proc rw\n4 3 0:5 / /proc/sys ro - proc proc rw\n",
			"proc/filesystems":                                     "nodev\tproc\nnodev\toverlay\n\text4\n",
			"proc/sys/fs/inotify/max_user_watches":                 "8192\n",
			"proc/sys/fs/inotify/max_user_instances":               "128\n",
			"proc/sys/user/max_user_namespaces":                    "0\n",
			"proc/sys/kernel/unprivileged_userns_clone":            "1\n",
			"proc/sys/net/ipv4/ip_forward":                         "1\n",
			"proc/sys/kernel/seccomp/actions_avail":                "kill_process\n",
			"sys/module/apparmor/parameters/enabled":               "Y\n",
			"sys/fs/selinux/enforce":                               "1",
			"home/ada/.config/containers/auth.json":                "readable",
			"run/user/1000/containers/auth.json":                   "secret",
			"home/ada/.local/share/containers/storage/overlay/l/x": "",
			"sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers": "memory pids\n",
		}),
		Kernel: paper{
			trial:    Trial{Userns: "no space", Overlay: "not allowed", Veth: "a", Bridge: "b", Rules: "c"},
			output:   map[string]string{"/usr/bin/crun": "crun version 1.21\ncommit: 10\n", "/usr/sbin/criu": "Version: 4.2.1\nGitID: v4.2.1\n", "/usr/bin/pasta": "pasta unknown version\nversion 2 or later\n"},
			writable: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/",
		},
		Getenv: func(name string) string {
			return map[string]string{"PATH": "bin:/home/ada/bin:/usr/bin", "XDG_RUNTIME_DIR": "/run/user/1000"}[name]
		},
		User: doctor.User{UID: 1000, Name: "ada"}, Program: "/usr/bin/pcompose", Built: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		Root: "/home/ada/.local/share/pcompose", RunRoot: "/run/user/1000/pcompose",
		Runtime: doctor.Runtime{Kind: "crun", Path: "/usr/bin/crun"}, Init: "/usr/bin/catatonit", Delegated: []string{"pids"},
		Setup: image.Setup{
			Storage:    image.StorageSetup{Driver: "overlay", GraphRoot: "/home/ada/.local/share/containers/storage", Err: errors.New("bad storage.conf")},
			Registries: image.RegistriesSetup{File: "/etc/r.conf", Search: []string{"docker.io"}, All: []sysregistriesv2.Registry{{Prefix: "quay.io", Mirrors: []sysregistriesv2.Endpoint{{Location: "mirror"}}}, {Prefix: "x"}}},
			Policy:     image.PolicySetup{File: "/etc/p.json", Default: "reject"},
			Logins:     image.LoginsSetup{Files: []string{"/home/ada/.config/containers/auth.json", "/run/user/1000/containers/auth.json"}, Registries: []string{"quay.io"}},
		},
	}
	got, err := json.MarshalIndent(Look(t.Context(), c), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/rocky.json"
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestCgroups tells the layouts of systemd apart.
func TestCgroups(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"none": {map[string]string{"sys/fs/cgroup/README": ""}, "[] []"},
		"v1": {map[string]string{
			"sys/fs/cgroup/cpu,cpuacct/cgroup.procs": "", "sys/fs/cgroup/memory/cgroup.procs": "", "sys/fs/cgroup/systemd/cgroup.procs": "",
		}, "v1[cpu cpuacct memory] []"},
		"hybrid": {map[string]string{
			"sys/fs/cgroup/memory/cgroup.procs": "", "sys/fs/cgroup/unified/cgroup.controllers": "hugetlb\n", "sys/fs/cgroup/unified/cgroup.procs": "",
		}, "hybrid[memory] [hugetlb]"},
		"v2": {map[string]string{"sys/fs/cgroup/cgroup.controllers": "cpu memory\n", "proc/self/cgroup": "0::/\n"}, "v2[cpu memory] []"},
	} {
		g := Config{Tree: files(c.files), Kernel: paper{}, Getenv: func(string) string { return "" }}.cgroups()
		if got := strings.TrimSpace(g.Version + "[" + strings.Join(g.Controllers, " ") + "] [" + strings.Join(g.Unified, " ") + "]"); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestHere asks this machine what every machine must know, and tries in namespaces where it may.
func TestHere(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k := Here(program)
	if k.Release() == "" || k.Now().IsZero() {
		t.Error("the kernel has no release, or no time")
	}
	if limit, _ := k.OpenFiles(); limit == 0 {
		t.Error("no file may be open")
	}
	dir := t.TempDir()
	disk, err := k.Disk(dir)
	if err != nil || disk.Size == 0 || disk.Path != dir {
		t.Errorf("disk of %s: %+v, %v", dir, disk, err)
	}
	if _, err := k.Disk(filepath.Join(dir, "none")); err == nil {
		t.Error("what is not there has a disk")
	}
	if k.MayMapIDs(program) {
		t.Error("a test may map IDs")
	}
	if out, err := k.Output(t.Context(), program, "-test.list", "TestHere"); err != nil || !strings.Contains(out, "TestHere") {
		t.Errorf("output: %q, %v", out, err)
	}
	trial := k.Try(t.Context(), dir)
	if trial.Userns != "" {
		t.Skipf("namespaces cannot be made here: %s", trial.Userns)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("a try leaves %v, %v", left, err)
	}
	if trial := k.Try(t.Context(), filepath.Join(dir, "none")); trial.Overlay == "" {
		t.Error("overlay is mounted where there is no folder")
	}
}

// What a killed try left goes with the next, also where the folder to try in has come only since. One that is at work stays, and
// what has the name of one and is none.
func TestSweep(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "storage")
	dead := []string{filepath.Join(above, workPrefix+"1"), filepath.Join(dir, workPrefix+"2")}
	for _, path := range dead {
		os.MkdirAll(filepath.Join(path, "work", "work"), 0o700)
		os.Chmod(filepath.Join(path, "work", "work"), 0)
	}
	link := filepath.Join(dir, workPrefix+"3")
	os.Symlink(above, link)
	live, err := newWork(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	sweep(dir)
	for _, path := range dead {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	for _, path := range []string{link, live.Name()} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s is gone", path)
		}
	}
}

// TestMain is also the program that tries.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == TryCommand {
		if err := Attempt(os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestDescribe reads a machine of two processors, in a user's namespace and outside of one.
func TestDescribe(t *testing.T) {
	d := Describe(files(map[string]string{
		"usr/lib/os-release":        "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n",
		"proc/sys/kernel/hostname":  "here\n",
		"proc/sys/kernel/osrelease": "6.12\n",
		"proc/meminfo":              "MemTotal:       2048 kB\nMemFree:  1024 kB\nSwapTotal: 0 kB\nHugePages_Total: 3\n",
		"proc/uptime":               "3661.25 7000.00\n",
		"proc/stat":                 "cpu  20 5 10 60 0 1 2 2 0 0\ncpu0 1 1\ncpu1 1 1\nintr 5\n",
		"proc/self/uid_map":         "         0       1000          1\n         1     100000      65536\n",
		"proc/self/gid_map":         "         0          0 4294967295\n",
	}))
	want := Description{
		Hostname: "here", Kernel: "6.12", ID: "debian", Version: "13", Codename: "trixie", CPUs: 2, User: 25, System: 15, Idle: 60,
		MemTotal: 2 << 20, MemFree: 1 << 20, Uptime: time.Hour + time.Minute + 1250*time.Millisecond,
		UIDs: []IDRange{{0, 1000, 1}, {1, 100000, 65536}},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got  %+v\nwant %+v", d, want)
	}
	if d := Describe(files(nil)); !reflect.DeepEqual(d, Description{}) {
		t.Errorf("nothing is %+v", d)
	}
}

func TestStatic(t *testing.T) {
	if Static(filepath.Join(t.TempDir(), "none")) {
		t.Error("a program that is not there is static")
	}
}
