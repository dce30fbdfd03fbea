package checkout

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for reference, want := range map[string]location{
		"https://host/a/b.git":                {remote: "https://host/a/b.git"},
		"https://host/a/b.git#main":           {remote: "https://host/a/b.git", ref: "main"},
		"https://host/a/b.git#v1:sub/folder":  {remote: "https://host/a/b.git", ref: "v1", folder: "sub/folder"},
		"https://host/a/b.git#:sub":           {remote: "https://host/a/b.git", folder: "sub"},
		"git@host:a/b#main:x":                 {remote: "git@host:a/b", ref: "main", folder: "x"},
		"ssh://git@host:22/a/b.git":           {remote: "ssh://git@host:22/a/b.git"},
		"github.com/a/b":                      {remote: "https://github.com/a/b"},
		"file:///srv/b":                       {remote: "file:///srv/b"},
		"git://host/b":                        {remote: "git://host/b"},
		"compose.yaml":                        {},
		"./github.com/a":                      {},
		"https://host/compose.yaml":           {},
		"oci://host/a":                        {},
		"ext::sh -c true":                     {},
		"-oProxyCommand=x@host:a":             {},
		"file://":                             {},
		"":                                    {},
		"/srv/b.git":                          {},
		"https://host/b.git/compose.yaml#x:y": {},
	} {
		got, ok := parse(reference)
		if ok != (want.remote != "") || ok && got != want {
			t.Errorf("%q: got %v %v", reference, got, ok)
		}
	}
}

func TestEnvironmentAsksNobody(t *testing.T) {
	env := environment([]string{"HOME=/h", "GIT_DIR=/elsewhere", "GIT_SSH_COMMAND=mine", "LC_ALL=de_DE"})
	for _, v := range []string{"GIT_TERMINAL_PROMPT=0", "GIT_SSH_COMMAND=mine", "HOME=/h", "LC_ALL=C"} {
		if !slices.Contains(env, v) {
			t.Errorf("no %s in %q", v, env)
		}
	}
	if text := strings.Join(env, " "); strings.Contains(text, "GIT_DIR") || strings.Contains(text, "de_DE") || strings.Contains(text, "BatchMode") {
		t.Errorf("got %q", text)
	}
}

// repository makes a git repository with a commit of the files, and gives its path and a function that runs git in it.
func repository(t *testing.T, files map[string]string) (dir string, git func(args ...string) string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir = t.TempDir()
	git = func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"}, args...)...)
		cmd.Env = environment(append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git("add", "-A")
	git("commit", "-q", "-m", "one")
	return dir, git
}

func TestFetch(t *testing.T) {
	dir, git := repository(t, map[string]string{"compose.yaml": "one", "sub/docker-compose.yml": "sub", "other/x.yaml": "x"})
	first := git("rev-parse", "HEAD")
	git("tag", "-a", "-m", "note", "v1")
	git("checkout", "-q", "-b", "feature/main")
	git("rm", "-q", "compose.yaml")
	git("commit", "-q", "-m", "two")
	git("checkout", "-q", "main")
	home := t.TempDir()
	r := New(filepath.Join(home, "cache"), []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1"})
	url := "file://" + dir
	for reference, want := range map[string]string{
		"": "one", "#main": "one", "#v1": "one", "#" + first: "one", "#refs/heads/main": "one",
		"#main:sub": "sub", "#:sub/docker-compose.yml": "sub", "#feature/main:other/x.yaml": "x",
	} {
		file, root, err := r.Fetch(t.Context(), url+reference)
		if err != nil {
			t.Errorf("%q: %v", reference, err)
			continue
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want || !strings.HasPrefix(file, root+"/") {
			t.Errorf("%q: got %q in %q of %q, %v", reference, got, file, root, err)
		}
	}
	for reference, want := range map[string]string{
		"#nope":                       `the repository has no branch or tag "nope": a commit is named by its whole ID`,
		"#main:nope":                  `the repository has no "nope"`,
		"#main:other":                 `the folder "other" of the repository has no Compose file`,
		"#main:../secret":             `the folder "../secret" leads out of the repository`,
		"#--upload-pack":              `"--upload-pack" is not allowed as the name of a branch or tag`,
		"#" + strings.Repeat("0", 40): "git: ",
	} {
		if _, _, err := r.Fetch(t.Context(), url+reference); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v", reference, err)
		}
	}
	if _, _, err := r.Fetch(t.Context(), url+"-nowhere"); err == nil || !strings.Contains(err.Error(), "does not") {
		t.Errorf("got %v", err)
	}
	// What was fetched needs no repository any more, where its commit is named.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Fetch(t.Context(), url+"#"+first); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(home, "cache", ".partial*")); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

func TestFetchWithoutGit(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, _, err := New(t.TempDir(), nil).Fetch(t.Context(), "https://host/x.git")
	if err == nil || !strings.HasPrefix(err.Error(), "git is not installed") {
		t.Errorf("got %v", err)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	dir, _ := repository(t, map[string]string{"compose.yaml": "one"})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.DeadlineExceeded)
	if _, _, err := New(t.TempDir(), os.Environ()).Fetch(ctx, "file://"+dir); err == nil || err.Error() != context.DeadlineExceeded.Error() {
		t.Errorf("got %v", err)
	}
}
