package userns

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

// What is missing is told with the line that adds it, and a range that overlaps none of another user's.
func TestMissingRanges(t *testing.T) {
	o := owner{name: "ann", uid: 1000, gid: 1000}
	for _, c := range []struct {
		uids, gids int
		say, not   string
	}{
		{65536, 65536, "", "echo"},
		{0, 65536, ">> /etc/subuid", "/etc/subgid"},
		{65536, 0, ">> /etc/subgid", "/etc/subuid"},
		{0, 0, "/etc/subuid and echo ann:", "fails"},
	} {
		got := missingRanges(o, c.uids, c.gids)
		if !strings.Contains(got, c.say) || strings.Contains(got, c.not) {
			t.Errorf("%q", got)
		}
	}
}

// Whose fault it is that nothing was mapped is read from what the programs say.
func TestExplain(t *testing.T) {
	for said, want := range map[string]string{
		"newgidmap: write to gid_map failed: Operation not permitted": "newgidmap may not map IDs: ",
		"newuidmap: write to uid_map failed: Operation not permitted": "newuidmap may not map IDs: ",
		"newuidmap is not installed":                                  "newuidmap is not installed (apt install uidmap; ",
		"out of memory":                                               "newuidmap or newgidmap fails: out of memory",
		"":                                                            "newuidmap or newgidmap fails: it does not say why",
	} {
		if got := explain(said); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
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

// TestMain is a command of a user, for TestEnter, where the environment says so: it enters, says where it is, and stays until its
// input ends. It leaves a process behind that stays until file 3 ends.
func TestMain(m *testing.M) {
	if os.Getenv("PCT_ENTER") == "" {
		os.Exit(m.Run())
	}
	err := Settle()
	if err == nil {
		err = Enter(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "pcompose"), func(text string) { os.Stdout.WriteString("warned: " + text + "\n") })
	}
	if err != nil {
		os.Stdout.WriteString("failed: " + err.Error() + "\n")
		os.Exit(1)
	}
	where, _ := os.Readlink("/proc/self/ns/user")
	ids, _ := os.ReadFile("/proc/self/uid_map")
	if constructed().made {
		os.Stdout.WriteString("made ")
	}
	os.Stdout.WriteString(where + " " + strings.Join(strings.Fields(string(ids)), " ") + "\n")
	left := exec.Command("cat")
	left.Stdin = os.NewFile(3, "left")
	if err := left.Start(); err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// A user without ranges gets a namespace of one ID, and is told so once. Who comes next joins it; who comes when nobody holds
// it, but a process is left in it, finds it.
func TestEnter(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user, who has no ranges")
	}
	const uid = 64321
	dir, err := os.MkdirTemp("", "pct-userns-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	left, leave, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	start := func() (said string, end func()) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Dir = "/"
		cmd.Env = []string{"PCT_ENTER=1", "USER=pct-nobody", "XDG_RUNTIME_DIR=" + dir, "PATH=" + os.Getenv("PATH")}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		cmd.Stderr, cmd.ExtraFiles = os.Stderr, []*os.File{left}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 4096)
		for n := 0; !strings.Contains(said, "user:[") && err == nil; said += string(text[:n]) {
			n, err = out.Read(text)
		}
		return said, func() { in.Close(); _ = cmd.Wait() }
	}
	first, end := start()
	if !strings.Contains(first, "\nmade user:[") || !strings.Contains(first, "warned: user pct-nobody has no range of IDs for containers: as root, echo pct-nobody:") || !strings.Contains(first, " 0 64321 1\n") {
		t.Fatalf("the first says %q", first)
	}
	defer left.Close()
	where := first[strings.Index(first, "user:["):]
	second, endSecond := start()
	if second != where {
		t.Errorf("the second is at %q, the first at %q", second, where)
	}
	end()
	endSecond()
	third, end := start()
	if third != where {
		t.Errorf("the third is at %q, where a process was left at %q", third, where)
	}
	end()
	leave.Close()
}
