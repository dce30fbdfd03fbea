package userns

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"
)

func TestTriples(t *testing.T) {
	ranges := []idtools.IDMap{{ContainerID: 0, HostID: 100000, Size: 1000}, {ContainerID: 1000, HostID: 300000, Size: 64536}}
	got := strings.Join(triples(1000, ranges), " ")
	if want := "0 1000 1 1 100000 1000 1001 300000 64536"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What is missing is told with the line that adds it, and a range that overlaps none of another user's.
func TestMissingRanges(t *testing.T) {
	some := []idtools.IDMap{{HostID: 100000, Size: 65536}}
	o := owner{name: "ann", uid: 1000, gid: 1000}
	for _, c := range []struct {
		uids, gids []idtools.IDMap
		say, not   string
	}{
		{some, some, "", "echo"},
		{nil, some, ">> /etc/subuid", "/etc/subgid"},
		{some, nil, ">> /etc/subgid", "/etc/subuid"},
		{nil, nil, "/etc/subuid and echo ann:", "fails"},
	} {
		got := missingRanges(o, c.uids, c.gids)
		if !strings.Contains(got, c.say) || strings.Contains(got, c.not) {
			t.Errorf("%q", got)
		}
	}
}

// Lines that are none are passed over; the first free ID is behind everybody's.
func TestSubIDs(t *testing.T) {
	etc := fstest.MapFS{"subuid": {Data: []byte("# a comment\nbob:100000:65536\n\n7:165536:10\neve:200000:10\neve:x:1\n")}}
	for _, c := range []struct {
		file, name  string
		count, free int
	}{
		{"subuid", "bob", 65546, 200010}, {"subuid", "ann", 10, 200010}, {"missing", "bob", 0, 100000},
	} {
		if count, free := SubIDs(etc, c.file, c.name, 7); count != c.count || free != c.free {
			t.Errorf("%s of %s: %d IDs, free from %d", c.file, c.name, count, free)
		}
	}
}

// TestMain holds the record that the environment names, for TestHeld.
func TestMain(m *testing.M) {
	if path := os.Getenv("PCT_HOLD"); path != "" {
		record, err := os.OpenFile(path, os.O_RDWR, 0)
		lock := unix.Flock_t{Type: unix.F_RDLCK, Start: int64(os.Getpid()), Len: 1}
		if err == nil {
			err = unix.FcntlFlock(record.Fd(), unix.F_SETLK, &lock)
		}
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString("held")
		os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Who locks its byte is found, and is not when it has ended.
func TestHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), recordFile)
	record, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer record.Close()
	if held(record) {
		t.Error("a fresh record is held")
	}
	other := exec.Command("/proc/self/exe")
	other.Env = []string{"PCT_HOLD=" + path}
	in, _ := other.StdinPipe()
	out, _ := other.StdoutPipe()
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if !held(record) {
		t.Error("a record that another process locks is not held")
	}
	in.Close()
	_ = other.Wait()
	if held(record) {
		t.Error("a record is held by a process that has ended")
	}
}

// A namespace is found by a process in it, and by one in a namespace below it.
func TestSurvivor(t *testing.T) {
	for _, argv := range [][]string{
		{"unshare", "--user", "--map-root-user"},
		{"unshare", "--user", "--map-root-user", "unshare", "--user"},
	} {
		record, err := os.Create(filepath.Join(t.TempDir(), recordFile))
		if err != nil {
			t.Fatal(err)
		}
		defer record.Close()
		cmd := exec.Command(argv[0], append(argv[1:], "sh", "-c", "echo; read line")...)
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Skip("unshare(1) is needed: ", err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Skip("this machine gives no user namespaces: ", err)
		}
		ns, err := os.Open("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/ns/user")
		if err != nil {
			t.Fatal(err)
		}
		if len(argv) > 3 {
			parent, err := unix.IoctlRetInt(int(ns.Fd()), unix.NS_GET_PARENT)
			if err != nil {
				t.Fatal(err)
			}
			ns = os.NewFile(uintptr(parent), "parent")
		}
		if err := remember(record, ns, "a range"); err != nil {
			t.Fatal(err)
		}
		want, _ := inodeOf(ns)
		ns.Close()
		inode, said := recall(record)
		if inode != want || said != "a range" {
			t.Errorf("recalled %d and %q", inode, said)
		}
		found, err := survivor(inode)
		if err != nil || found == nil {
			t.Fatal("nothing found: ", err)
		}
		if got, _ := inodeOf(found); got != want {
			t.Errorf("found namespace %d, want %d", got, want)
		}
		found.Close()
		in.Close()
		_ = cmd.Wait()
		if found, err := survivor(inode); err != nil || found != nil {
			t.Errorf("found %v, %v after its end", found, err)
		}
	}
}
