package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// seen are the paths below dir that the tree has told of until one of them is the last one; each once, sorted.
func seen(t *testing.T, tr *tree, dir, last string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	all := map[string]bool{}
	for !all[last] {
		paths, err := tr.next(ctx)
		if err != nil {
			t.Fatalf("%v; until then %v", err, all)
		}
		for _, p := range paths {
			all[strings.TrimPrefix(p, dir+"/")] = true
		}
	}
	var list []string
	for p := range all {
		list = append(list, p)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTree(t *testing.T) {
	dir := t.TempDir()
	src, file := filepath.Join(dir, "src"), filepath.Join(dir, "file")
	for _, d := range []string{"src/a/b", "src/skip/x", "beside"} {
		os.MkdirAll(filepath.Join(dir, d), 0o755)
	}
	write(t, file, "")
	tr, err := openTree([]string{file, src}, func(d string) bool { return filepath.Base(d) == "skip" })
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	before := ""
	check := func(what, last, want string) {
		t.Helper()
		got := strings.TrimSpace(strings.ReplaceAll(" "+seen(t, tr, dir, last)+" ", " "+before+" ", " ")) // which may be told once more
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
		before = last
	}
	write(t, filepath.Join(dir, "beside/f"), "")
	write(t, filepath.Join(dir, "other"), "")
	write(t, filepath.Join(src, "skip/x/f"), "")
	write(t, filepath.Join(src, "a/b/f"), "1")
	check("a file, and none that concerns nobody", "src/a/b/f", "src/a/b/f")

	write(t, filepath.Join(dir, "file.tmp"), "2")
	os.Rename(filepath.Join(dir, "file.tmp"), file)
	check("a file that is replaced", "file", "file")

	os.MkdirAll(filepath.Join(src, "new/deep"), 0o755)
	write(t, filepath.Join(src, "new/deep/f"), "")
	check("new directories", "src/new/deep/f", "src/new src/new/deep src/new/deep/f")
	os.Symlink("/etc", filepath.Join(src, "link"))
	check("a link, not what it leads to", "src/link", "src/link")

	os.Rename(filepath.Join(src, "new"), filepath.Join(src, "a/moved"))
	before = ""
	check("a directory that moves", "src/a/moved/deep/f", "src/a/moved src/a/moved/deep src/a/moved/deep/f src/new src/new/deep src/new/deep/f")
	write(t, filepath.Join(src, "a/moved/deep/g"), "")
	check("in one that has moved", "src/a/moved/deep/g", "src/a/moved/deep/g")

	os.RemoveAll(filepath.Join(src, "a"))
	before = ""
	check("a tree that goes", "src/a", "src/a src/a/b src/a/b/f src/a/moved src/a/moved/deep src/a/moved/deep/f src/a/moved/deep/g")
	os.Rename(src, filepath.Join(dir, "away"))
	check("a root that goes", "src", "src src/link src/skip")
	os.Mkdir(src, 0o755)
	write(t, filepath.Join(src, "back"), "")
	before = ""
	check("and comes back", "src/back", "src src/back")
}

// What the kernel drops is found all the same.
func TestRescan(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"gone", "stays"} {
		write(t, filepath.Join(dir, name), "")
	}
	tr, err := openTree([]string{dir}, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	os.Remove(filepath.Join(dir, "gone"))
	write(t, filepath.Join(dir, "new"), "")
	tr.idle = time.Now().Add(time.Hour) // nothing that is there has changed since
	changed, err := tr.rescan()
	if err != nil || !slices.Equal(changed, []string{filepath.Join(dir, "gone")}) {
		t.Errorf("changed: %q, %v", changed, err)
	}
	tr.idle = time.Now()
	write(t, filepath.Join(dir, "new"), "1")
	changed, err = tr.rescan()
	if err != nil || !slices.Contains(changed, filepath.Join(dir, "new")) {
		t.Errorf("changed: %q, %v", changed, err)
	}
	write(t, filepath.Join(dir, "after"), "")
	if got := seen(t, tr, dir, "after"); !strings.Contains(got, "after") {
		t.Error(got)
	}
}

func TestNotThere(t *testing.T) {
	_, err := openTree([]string{filepath.Join(t.TempDir(), "no")}, nil)
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}
