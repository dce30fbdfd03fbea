package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// machine is what leftovers.sh sees, a thing a line, that has one of the names in it; dirs have the files of who has them.
// What others have on the machine comes and goes, and is none of a script's business.
func machine(names []string, dirs ...string) ([]string, error) {
	cmd := exec.Command(leftovers, dirs...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", leftovers, err)
	}
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(line string) bool {
		return isLock(line) || !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(line, name) })
	}), nil
}

// ownNames are in whatever a script has on the machine. A cgroup is called by its project and the hash of its run directory: what
// another run of the same script left is not ours. A table is called by the hash of the pod's run directory, a link
// by the hash of that: `! unchanged` in up-down.txtar holds that both are found.
func ownNames(runRoot, root string, projects ...string) []string {
	names := []string{runRoot + "/", root + "/"}
	for _, project := range projects {
		run := sha256.Sum256([]byte(filepath.Join(runRoot, project)))
		id := hex.EncodeToString(run[:5])
		link := sha256.Sum256([]byte(id))
		names = append(names, "pcompose-"+project+"-"+id, "pcompose-"+id, "link pc"+hex.EncodeToString(link[:])[:13])
	}
	return names
}

// differences lists what was lost and what came: "- line" and "+ line".
func differences(before, after []string) []string {
	var diff []string
	has := map[string]bool{}
	for _, line := range after {
		has[line] = true
	}
	had := map[string]bool{}
	for _, line := range before {
		if had[line] = true; !has[line] {
			diff = append(diff, "- "+line)
		}
	}
	for _, line := range after {
		if !had[line] {
			diff = append(diff, "+ "+line)
		}
	}
	return diff
}

// checkEmpty takes the script's projects down, whatever became of them, and fails the script if something is left.
func (s *suite) checkEmpty(env *testscript.Env) {
	project, runRoot, root := env.Getenv("PROJECT"), env.Getenv("PCOMPOSE_RUNROOT"), env.Getenv("PCOMPOSE_ROOT")
	// Most have one, some made more.
	all, err := s.pcompose(env, "ls", "-a", "-q")
	if err != nil {
		env.T().Fatal("cannot list projects: ", err, all)
	}
	projects := append(strings.Fields(all), project)
	for _, name := range projects {
		if said, err := s.pcompose(env, "-p", name, "down", "-v", "-t", "0", "--remove-orphans"); err != nil {
			env.T().Fatal("cannot take the project down: ", err, said)
		}
	}
	mine, err := machine(ownNames(runRoot, root, projects...))
	if err != nil {
		env.T().Fatal(err)
	}
	mine = append(mine, files(runRoot)...)
	mine = append(mine, files(filepath.Join(root, "projects"))...)
	if len(mine) > 0 {
		env.T().Log("left behind after down:\n  " + strings.Join(mine, "\n  "))
		env.T().FailNow()
	}
}

// pcompose runs pcompose in a script's environment, outside of its script, and returns what it said.
func (s *suite) pcompose(env *testscript.Env, args ...string) (string, error) {
	cmd := exec.Command(s.command, args...)
	cmd.Dir, cmd.Env = "/", append(os.Environ(), env.Vars...)
	// A grandchild that kept our pipe would hold us up for ever.
	cmd.WaitDelay = 10 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return said.String(), err
}

// checkStore fails the suite if its store still has a container, or anything a mount or a process. Their paths do not
// say which script they are of.
func (s *suite) checkStore(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(s.dir, "storage", "overlay-containers", "containers.json"))
	if err == nil && strings.TrimSpace(string(content)) != "[]" {
		t.Errorf("containers left in the store: %s", content)
	}
	left, err := machine([]string{s.dir + "/", s.runDir + "/"})
	if err != nil {
		t.Error(err)
	}
	for _, line := range left {
		if strings.HasPrefix(line, "mount ") || strings.HasPrefix(line, "process ") {
			t.Errorf("left behind by the scripts: %s", line)
		}
	}
}

// isLock says whether a path is of what outlives a pod until the next boot: the locks that all projects share, since
// removing one would let two hold it at once, and the bounded files of events, which tell how the pod ended.
func isLock(path string) bool {
	return strings.HasSuffix(path, "/addresses.lock") || strings.HasSuffix(path, "/locks") || strings.Contains(path, "/locks/") ||
		strings.HasSuffix(path, "/.events") || strings.Contains(path, "/.events/")
}

// files lists everything below dir that is no directory.
func files(dir string) []string {
	var found []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !isLock(path) {
			found = append(found, "file "+path)
		}
		return nil
	})
	return found
}
