package secret

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

const canary = "c4nary-c4nary"

func TestWrite(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to mount a tmpfs")
	}
	dir := filepath.Join(t.TempDir(), "pct-container", "files")
	t.Cleanup(func() { Remove(dir) })
	files := []pod.File{
		{Source: "password", Secret: true, Target: "/run/secrets/password", Content: canary, UID: 5, GID: 6, Mode: 0o440},
		{Source: "empty", Target: "/etc/empty", Mode: 0o4444},
		{Source: "big", Target: "/big", Content: strings.Repeat("x", 1<<20), Mode: 0o400},
	}
	for range 2 { // the second replaces the first
		mounts, err := Write(dir, files, Reader(os.LookupEnv, nil))
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range mounts {
			content, err := os.ReadFile(m.Source)
			if err != nil || string(content) != files[i].Content || m.Target != files[i].Target {
				t.Errorf("%+v, %v", m, err)
			}
		}
		stat, _ := os.Stat(mounts[0].Source)
		if sys := stat.Sys().(*syscall.Stat_t); stat.Mode() != 0o440 || sys.Uid != 5 || sys.Gid != 6 {
			t.Errorf("%v %d:%d", stat.Mode(), sys.Uid, sys.Gid)
		}
		if stat, _ := os.Stat(mounts[1].Source); stat.Mode() != 0o444 {
			t.Errorf("set-user-ID: %v", stat.Mode())
		}
	}
	if stat, _ := os.Stat(dir); stat.Mode().Perm() != 0o700 {
		t.Errorf("%v", stat.Mode())
	}
	info, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(info)) {
		if strings.Contains(line, dir) {
			for _, flag := range []string{"nosuid", "nodev", "noexec", "size="} {
				if !strings.Contains(line, flag) {
					t.Errorf("no %s: %s", flag, line)
				}
			}
		}
	}
	if n := strings.Count(string(info), dir); n != 1 {
		t.Errorf("%d mounts", n)
	}
	for range 2 {
		if err := Remove(dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is left")
	}
}

func TestWriteErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	if mounts, err := Write(dir, nil, nil); err != nil || mounts != nil {
		t.Errorf("no files: %v, %v", mounts, err)
	}
	file := []pod.File{{Source: "s", Secret: true, Content: canary}}
	fail := func(pod.File) ([]byte, error) { return nil, errors.New("gone") }
	if _, err := Write(dir, file, fail); err == nil || err.Error() != `cannot read secret "s": gone` {
		t.Error(err)
	}
	huge := func(pod.File) ([]byte, error) { return make([]byte, maxFile+1), nil }
	if _, err := Write(dir, file, huge); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
	if os.Getuid() == 0 {
		bad := []pod.File{{Source: "ok", Content: "x"}, {Source: "s", Secret: true, Content: canary, UID: -7, GID: 1 << 40}}
		if _, err := Write(dir, bad, Reader(os.LookupEnv, nil)); err != nil && strings.Contains(err.Error(), canary) {
			t.Error("the content is in the error")
		}
		Remove(dir)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something is left")
	}
}

func TestReader(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	os.WriteFile(path, []byte("from file"), 0o600)
	fifo := filepath.Join(dir, "fifo")
	syscall.Mkfifo(fifo, 0o600)
	read := Reader(func(name string) (string, bool) { return "from env", name == "SET" },
		func(name string) ([]byte, error) { return []byte("podman's " + name), nil })
	for _, test := range []struct {
		file      pod.File
		want, err string
	}{
		{pod.File{HostPath: path}, "from file", ""},
		{pod.File{EnvVar: "SET"}, "from env", ""},
		{pod.File{Content: "here"}, "here", ""},
		{pod.File{External: "pw"}, "podman's pw", ""},
		{pod.File{EnvVar: "UNSET"}, "", `environment variable "UNSET" is not set`},
		{pod.File{HostPath: path + "x"}, "", "no such file"},
		{pod.File{HostPath: dir}, "", "not a regular file"},
		{pod.File{HostPath: fifo}, "", "not a regular file"},
	} {
		got, err := read(test.file)
		if string(got) != test.want || (err == nil) != (test.err == "") || (err != nil && !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%+v: %q, %v", test.file, got, err)
		}
	}
}
