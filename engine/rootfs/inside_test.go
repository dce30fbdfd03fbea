package rootfs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

const passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/srv/app:/bin/sh\nbare:x:7:7:::\n"
const group = "root:x:0:\nstaff:x:50:app\nvideo:x:44:\n"

func accounts(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	os.Mkdir(filepath.Join(root, "etc"), 0o755)
	os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd), 0o644)
	os.WriteFile(filepath.Join(root, "etc/group"), []byte(group), 0o644)
	return root
}

func TestUser(t *testing.T) {
	root := accounts(t)
	for _, test := range []struct {
		spec   string
		groups []string
		want   Identity
		err    string
	}{
		{spec: "", want: Identity{Groups: []int{}, Home: "/root"}},
		{spec: "app", want: Identity{UID: 1000, GID: 1001, Groups: []int{50}, Home: "/srv/app"}},
		{spec: "app:video", want: Identity{UID: 1000, GID: 44, Groups: []int{}, Home: "/srv/app"}},
		{spec: "app:9", want: Identity{UID: 1000, GID: 9, Groups: []int{}, Home: "/srv/app"}},
		{spec: "1000", want: Identity{UID: 1000, GID: 1001, Groups: []int{50}, Home: "/srv/app"}},
		{spec: "4242", want: Identity{UID: 4242, Groups: []int{}, Home: "/"}},
		{spec: "bare", want: Identity{UID: 7, GID: 7, Groups: []int{}, Home: "/"}},
		{spec: "app", groups: []string{"video", "50", "77"}, want: Identity{UID: 1000, GID: 1001, Groups: []int{50, 44, 77}, Home: "/srv/app"}},
		{spec: "nobody", err: `no user "nobody" in the image's /etc/passwd`},
		{spec: "app:wheel", err: `no group "wheel" in the image's /etc/group`},
		{spec: "app", groups: []string{"wheel"}, err: `no group "wheel" in the image's /etc/group`},
		{spec: "-1", err: `user "-1" is not valid`},
	} {
		got, err := User(root, test.spec, test.groups)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: %v, want %q", test.spec, err, test.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: %+v, %v, want %+v", test.spec, got, err, test.want)
		}
	}
}

func TestUserWithoutAccountFiles(t *testing.T) {
	if got, err := User(t.TempDir(), "5:6", nil); err != nil || got.UID != 5 || got.GID != 6 {
		t.Errorf("%+v, %v", got, err)
	}
}

// The account files are a stranger's: links stay inside, and nothing but a bounded regular file is read.
func TestUserHostileAccountFiles(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "host")
	os.WriteFile(secret, []byte("app:x:666:666::/:\n"), 0o644)
	for name, plant := range map[string]func(path string) error{
		"fifo":           func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"link to a fifo": func(p string) error { syscall.Mkfifo(p+".fifo", 0o644); return os.Symlink("passwd.fifo", p) },
		"directory":      func(p string) error { return os.Mkdir(p, 0o755) },
		"host file":      func(p string) error { return os.Symlink(secret, p) },
		"host by dots":   func(p string) error { return os.Symlink("../../../../../../../../"+secret, p) },
		"endless": func(p string) error {
			f, err := os.Create(p)
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Truncate(1 << 40)
		},
	} {
		root := accounts(t)
		path := filepath.Join(root, "etc/passwd")
		os.Remove(path)
		if err := plant(path); err != nil {
			t.Fatal(err)
		}
		if got, err := User(root, "app", nil); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestEnsureDir(t *testing.T) {
	root, host := t.TempDir(), t.TempDir()
	os.Mkdir(filepath.Join(root, "srv"), 0o700)
	os.Symlink("/srv", filepath.Join(root, "link"))
	os.Symlink(host, filepath.Join(root, "escape"))
	os.WriteFile(filepath.Join(root, "file"), nil, 0o600)
	for range 2 {
		if err := EnsureDir(root, "link/../link/a/b", os.Getuid(), os.Getgid()); err != nil {
			t.Fatal(err)
		}
	}
	if stat, err := os.Stat(filepath.Join(root, "srv/a/b")); err != nil || stat.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", stat, err)
	}
	if stat, _ := os.Stat(filepath.Join(root, "srv")); stat.Mode().Perm() != 0o700 {
		t.Error("what existed was changed")
	}
	for _, dir := range []string{"escape/x", "file", "file/x"} {
		if err := EnsureDir(root, dir, os.Getuid(), os.Getgid()); err == nil {
			t.Errorf("%s was made", dir)
		}
	}
	if err := EnsureDir(root, "/", 0, 0); err != nil {
		t.Errorf("the root itself: %v", err)
	}
	if entries, _ := os.ReadDir(host); len(entries) > 0 {
		t.Error("a directory was made on the host")
	}
	if os.Getuid() == 0 {
		EnsureDir(root, "owned/deep", 5, 6)
		stat, err := os.Stat(filepath.Join(root, "owned"))
		if err != nil || stat.Sys().(*syscall.Stat_t).Uid != 5 || stat.Sys().(*syscall.Stat_t).Gid != 6 {
			t.Errorf("owner: %+v, %v", stat, err)
		}
	}
}
