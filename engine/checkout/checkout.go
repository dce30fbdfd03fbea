// Package checkout keeps commits of git repositories in folders, and finds the Compose files in them.
//
// All that is asked of git is done by the git program, so that its configuration, credentials and known hosts count.
package checkout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	securejoin "github.com/cyphar/filepath-securejoin"

	"github.com/pcompose/pcompose/engine/cache"
)

// Repositories are the git repositories that references name. Its methods may be used from many goroutines, and beside
// other processes.
type Repositories struct {
	dir     cache.Dir
	environ []string
}

// New keeps commits below dir; git is run in environ, a list of NAME=VALUE.
func New(dir string, environ []string) *Repositories {
	return &Repositories{cache.Dir(dir), environment(environ)}
}

// Accepts says whether a reference is a git URL as docker compose knows them: git://, ssh://, user@host:path, http(s):// with
// a path that ends with .git, github.com/…; and file://.
func (r *Repositories) Accepts(reference string) bool {
	_, ok := parse(reference)
	return ok
}

// Fetch gives the Compose file that a reference means, and the folder of its commit. A branch or tag is looked up each
// time; a commit that was fetched before is not again.
func (r *Repositories) Fetch(ctx context.Context, reference string) (file, root string, err error) {
	root, folder, err := r.checkout(ctx, reference)
	if err != nil {
		return "", "", err
	}
	file, err = find(root, folder)
	return file, root, err
}

// Folder gives the folder that a reference means, of the commit as Fetch has it. It is not to be written to.
func (r *Repositories) Folder(ctx context.Context, reference string) (string, error) {
	root, folder, err := r.checkout(ctx, reference)
	if err != nil {
		return "", err
	}
	dir, err := securejoin.SecureJoin(root, folder)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("the repository has no folder %q", folder)
	}
	return dir, nil
}

// checkout is the folder of a reference's commit, and what the reference names in it.
func (r *Repositories) checkout(ctx context.Context, reference string) (root, folder string, err error) {
	loc, ok := parse(reference)
	if !ok {
		return "", "", errors.New("this is no URL of a git repository")
	}
	if !filepath.IsLocal(filepath.Join(".", loc.folder)) {
		return "", "", fmt.Errorf("the folder %q leads out of the repository", loc.folder)
	}
	commit := loc.ref
	if !isCommit(commit) {
		if commit, err = r.resolve(ctx, loc); err != nil {
			return "", "", err
		}
	}
	root, err = r.dir.Get(ctx, commit, func(dir string) error {
		if _, err := r.git(ctx, "init", "--quiet", dir); err != nil {
			return err
		}
		// By URL and not by a remote: that would keep a password of the URL on disk.
		if _, err := r.git(ctx, "-C", dir, "fetch", "--quiet", "--depth=1", "--no-tags", loc.remote, commit); err != nil {
			return err
		}
		_, err := r.git(ctx, "-C", dir, "-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", commit)
		return err
	})
	return root, loc.folder, err
}

// find is the Compose file that a path in a checkout means: it, or the one in it by the usual names.
func find(root, folder string) (string, error) {
	path := filepath.Join(root, folder)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("the repository has no %q", folder)
	case !info.IsDir():
		return path, nil
	}
	names := []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(path, name)); err == nil && !info.IsDir() {
			return filepath.Join(path, name), nil
		}
	}
	where := "the repository"
	if folder != "" {
		where = fmt.Sprintf("the folder %q of the repository", folder)
	}
	return "", fmt.Errorf("%s has no Compose file, none of %s: name a folder or file by URL#REF:PATH", where, strings.Join(names, ", "))
}

// location is what a reference says.
type location struct{ remote, ref, folder string }

// parse takes a reference apart, URL#REF:FOLDER; ok is false for what is no git URL.
func parse(reference string) (loc location, ok bool) {
	loc.remote, loc.ref, _ = strings.Cut(reference, "#")
	loc.ref, loc.folder, _ = strings.Cut(loc.ref, ":")
	scheme, rest, isURL := strings.Cut(loc.remote, "://")
	switch {
	case strings.HasPrefix(loc.remote, "github.com/"):
		loc.remote = "https://" + loc.remote
		return loc, true
	case !isURL:
		// As scp(1) has it. A name that starts with a hyphen would be an option of ssh.
		return loc, regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:.+$`).MatchString(loc.remote)
	case scheme == "http" || scheme == "https":
		return loc, strings.HasSuffix(rest, ".git")
	}
	return loc, slices.Contains([]string{"git", "ssh", "file"}, scheme) && rest != ""
}

// isCommit says whether a ref is a commit's full ID, by SHA-1 or SHA-256.
func isCommit(ref string) bool {
	return regexp.MustCompile(`^([a-f0-9]{40}|[a-f0-9]{64})$`).MatchString(ref)
}

// resolve asks the repository for the commit of a branch or tag, of none for that of its default branch.
func (r *Repositories) resolve(ctx context.Context, loc location) (string, error) {
	ref := loc.ref
	if ref == "" {
		ref = "HEAD"
	}
	if strings.HasPrefix(ref, "-") || strings.ContainsAny(ref, "*?[") {
		return "", fmt.Errorf("%q is not allowed as the name of a branch or tag", ref)
	}
	out, err := r.git(ctx, "ls-remote", loc.remote, ref, ref+"^{}")
	if err != nil {
		return "", err
	}
	ids := map[string]string{}
	for line := range strings.Lines(out) {
		if id, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && isCommit(id) {
			ids[name] = id
		}
	}
	// ls-remote lists whatever ends with the name, feature/main for main, too. The order is that of gitrevisions(7); an
	// annotated tag is the commit it points to.
	for _, name := range []string{ref, "refs/" + ref, "refs/tags/" + ref + "^{}", "refs/tags/" + ref, "refs/heads/" + ref} {
		if id := ids[name]; id != "" {
			return id, nil
		}
	}
	if loc.ref == "" {
		return "", errors.New("the repository is empty")
	}
	return "", fmt.Errorf("the repository has no branch or tag %q: a commit is named by its whole ID", ref)
}

// git runs git, and gives what it prints; the error is what it says last.
func (r *Repositories) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = r.environ
	// Its helpers may keep the pipes open after git was killed.
	cmd.WaitDelay = 2 * time.Second
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	switch {
	case err == nil:
		return out.String(), nil
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("git is not installed, which reads repositories: install it, or name files by their path")
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	}
	return "", reason(said.String(), err)
}

// reason is what git, ssh and the server say of a failure, in one line, without the advice that git ends with.
func reason(said string, err error) error {
	var told []string
	for line := range strings.FieldsFuncSeq(said, func(c rune) bool { return c == '\n' || c == '\r' }) {
		for _, mark := range []string{"fatal: ", "error: ", "ERROR: "} {
			line = strings.TrimPrefix(line, mark)
		}
		advice := strings.HasPrefix(line, "Please make sure you have") || strings.HasPrefix(line, "and the repository exists")
		if line = strings.TrimRight(strings.TrimSpace(line), "."); line != "" && !advice && len(told) < maxReason {
			told = append(told, line)
		}
	}
	if len(told) == 0 {
		return fmt.Errorf("git: %w", err)
	}
	return fmt.Errorf("git: %s", strings.Join(told, "; "))
}

// maxReason is how many lines of a failure are told.
const maxReason = 5

// environment is what git is run in: nobody is there to be asked, and variables that point it to the repository that it
// was called from, as in a hook, are left out (git rev-parse --local-env-vars).
func environment(environ []string) []string {
	local := []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
		"GIT_COMMON_DIR", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_NAMESPACE"}
	set := map[string]bool{}
	var env []string
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		if !slices.Contains(local, name) && name != "LC_ALL" {
			env = append(env, v)
			set[name] = value != ""
		}
	}
	env = append(env, "LC_ALL=C") // its messages are shown, and looked into
	if !set["GIT_TERMINAL_PROMPT"] {
		env = append(env, "GIT_TERMINAL_PROMPT=0")
	}
	if !set["GIT_SSH"] && !set["GIT_SSH_COMMAND"] {
		env = append(env, "GIT_SSH_COMMAND=ssh -o ControlMaster=no -o BatchMode=yes")
	}
	if !set["GIT_ALLOW_PROTOCOL"] { // ext:: would run any command
		env = append(env, "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh")
	}
	return env
}
