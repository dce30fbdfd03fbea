package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// machine is what leftovers.sh sees, a thing a line, with the files of the directories. Temporary files of other
// programs come and go and are left out.
func machine(dirs ...string) ([]string, error) {
	cmd := exec.Command(leftovers, dirs...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", leftovers, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return slices.DeleteFunc(lines, func(line string) bool {
		path, file := strings.CutPrefix(line, "file ")
		return line == "" || file && !slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(path, dir+"/") })
	}), nil
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

// checkEmpty takes the script's project down, whatever became of it, and fails the script if something of it is left.
func (s *suite) checkEmpty(env *testscript.Env) {
	project, runRoot, root := env.Getenv("PROJECT"), env.Getenv("PCOMPOSE_RUNROOT"), env.Getenv("PCOMPOSE_ROOT")
	down := exec.Command(s.binary, "-p", project, "down", "-v", "-t", "0", "--remove-orphans")
	down.Dir, down.Env = "/", append(os.Environ(), env.Vars...)
	// A grandchild that kept our pipe would hold us up for ever.
	down.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	down.Stdout, down.Stderr = &out, &out
	if err := down.Run(); err != nil {
		env.T().Log("cannot take the project down:", err, out.String())
		env.T().FailNow()
	}
	left, err := machine()
	if err != nil {
		env.T().Fatal(err)
	}
	var mine []string
	for _, line := range left {
		if strings.Contains(line, project+"-") || strings.HasSuffix(line, project) ||
			strings.Contains(line, runRoot+"/") || strings.Contains(line, root+"/") {
			mine = append(mine, line)
		}
	}
	mine = append(mine, files(runRoot)...)
	mine = append(mine, files(filepath.Join(root, "projects"))...)
	if len(mine) > 0 {
		env.T().Log("left behind after down:\n  " + strings.Join(mine, "\n  "))
		env.T().FailNow()
	}
}

// files lists everything below dir that is no directory.
func files(dir string) []string {
	var found []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, "file "+path)
		}
		return nil
	})
	return found
}
