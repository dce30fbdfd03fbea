package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v4"
)

// corpusDir has the cases, docs the table of what differs.
const (
	corpusDir = "../../../testdata/corpus"
	corpusDoc = "../../../docs/config-differences.md"
)

// record is for testdata/corpus/record.sh: the docker compose whose output becomes the expected one.
var record = flag.String("record", "", "path of docker compose; its output replaces the recorded one")

// corpusCase is a project and the command lines to print it with. The archive's comment says where it is from. Its file
// "env" has variables, "run" command lines (none are two: config as YAML and as JSON). "docker N" is what docker compose
// answered to the Nth, "pcompose N" what pcompose answers where that differs and docs/config-differences.md says why.
type corpusCase struct {
	archive *txtar.Archive
	env     []string
	runs    []string
}

func readCase(t *testing.T, file string) corpusCase {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := corpusCase{archive: archive, runs: []string{"config", "config --format json"}}
	for _, f := range archive.Files {
		switch f.Name {
		case "env":
			c.env = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
		case "run":
			c.runs = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
		}
	}
	return c
}

var answerName = regexp.MustCompile(`^(docker|pcompose) \d+$`)

// lay writes the project's files into dir, and says whether any is a place to run in: "cwd" is a folder of that name.
func (c corpusCase) lay(t *testing.T, dir string) {
	t.Helper()
	for _, f := range c.archive.Files {
		if f.Name == "env" || f.Name == "run" || answerName.MatchString(f.Name) {
			continue
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// argv are a command line's, with 'single quotes' around what has spaces.
func argv(line string) []string {
	var all []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

func (c corpusCase) get(name string) (string, bool) {
	for _, f := range c.archive.Files {
		if f.Name == name {
			return string(f.Data), true
		}
	}
	return "", false
}

// set puts a file, or takes it away.
func (c corpusCase) set(name, text string) {
	c.archive.Files = slices.DeleteFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == name })
	if text != "" {
		c.archive.Files = append(c.archive.Files, txtar.File{Name: name, Data: []byte(text)})
	}
}

// answer is an exit code and standard output in the form the corpus keeps: the folder is $CWD, and lists that docker
// compose prints in the order of a Go map are sorted. An error's output is none.
func answer(line, dir string, code int, out []byte) string {
	text := strings.NewReplacer(dir, "$CWD", filepath.Dir(dir), "$PARENT").Replace(string(out))
	if code != 0 {
		text = ""
	}
	if regexp.MustCompile(`--(services|volumes|networks|images|models|environment)\b|--variables$`).MatchString(line) {
		all := strings.SplitAfter(text, "\n")
		slices.Sort(all)
		text = strings.Join(all, "")
	}
	return fmt.Sprintf("exit %d\n%s\n", code, strings.TrimRight(text, "\n"))
}

func (c corpusCase) environ(dir string) []string {
	return append([]string{"HOME=" + filepath.Join(dir, "home"), "PATH=/usr/bin:/bin", "PWD=" + dir}, c.env...)
}

// pcompose runs a command line in dir, which is the working directory.
func (c corpusCase) pcompose(t *testing.T, dir, line string) (string, string) {
	t.Helper()
	var files []*os.File
	for _, name := range []string{"out", "err"} {
		f, err := os.Create(filepath.Join(filepath.Dir(dir), name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	line, input, _ := strings.Cut(line, " < ")
	in, err := os.Open(os.DevNull)
	if input != "" {
		in, err = os.Open(filepath.Join(dir, input))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	code := Run(context.Background(), append([]string{"pcompose"}, argv(line)...), Streams{In: in, Out: files[0], Err: files[1]}, c.environ(dir), Build{})
	out, err := os.ReadFile(files[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	errors, err := os.ReadFile(files[1].Name())
	if err != nil {
		t.Fatal(err)
	}
	return answer(line, dir, code, out), string(errors)
}

func (c corpusCase) docker(t *testing.T, dir, line string) string {
	t.Helper()
	line, input, _ := strings.Cut(line, " < ")
	// 2.40.3 follows some alias bombs until memory is gone.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `ulimit -v 4194304; exec "$0" "$@"`, *record}, argv(line)...)...)
	cmd.Dir, cmd.Env = dir, c.environ(dir)
	if input != "" {
		in, err := os.Open(filepath.Join(dir, input))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		cmd.Stdin = in
	}
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return answer(line, dir, cmd.ProcessState.ExitCode(), out)
}

// sameValues says whether two answers differ in nothing but the order of keys, and defaults written out.
func sameValues(a, b string) bool {
	codeA, textA, _ := strings.Cut(a, "\n")
	codeB, textB, _ := strings.Cut(b, "\n")
	var x, y any
	if codeA != codeB || yaml.Unmarshal([]byte(textA), &x) != nil || yaml.Unmarshal([]byte(textB), &y) != nil {
		return false
	}
	return reflect.DeepEqual(withoutDefaults(x), withoutDefaults(y))
}

// withoutDefaults is v without create_host_path: true, the default that docker compose 2.40.3 writes out and later ones do not.
func withoutDefaults(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if key == "create_host_path" && value == true {
				delete(v, key)
				continue
			}
			v[key] = withoutDefaults(value)
		}
	case []any:
		for i := range v {
			v[i] = withoutDefaults(v[i])
		}
	}
	return v
}

// TestCorpus compares pcompose config with what docker compose 2.40.3 printed for the same files. Each difference must
// have its explanation in docs/config-differences.md, and each explanation its difference.
func TestCorpus(t *testing.T) {
	root, err := filepath.Abs(corpusDir) // cases change the working directory
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "*.txtar"))
	if err != nil || len(files) < 150 {
		t.Fatalf("the corpus has %d cases: %v", len(files), err)
	}
	doc, err := os.ReadFile(corpusDoc)
	if err != nil {
		t.Fatal(err)
	}
	reordered := 0
	explained := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z0-9-]+)`").FindAllStringSubmatch(string(doc), -1) {
		explained[m[1]] = false
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			c := readCase(t, file)
			before := txtar.Format(c.archive)
			dir := filepath.Join(t.TempDir(), "project")
			c.lay(t, dir)
			t.Chdir(dir)
			differs := false
			for i, line := range c.runs {
				n := strconv.Itoa(i + 1)
				if *record != "" {
					c.set("docker "+n, c.docker(t, dir, line))
				}
				want, ok := c.get("docker " + n)
				if !ok {
					t.Fatalf("nothing is recorded for %q", line)
				}
				got, errors := c.pcompose(t, dir, line)
				if *record != "" {
					c.set("pcompose "+n, "")
				}
				if got != want && sameValues(got, want) {
					reordered++
					got = want
				}
				if got == want {
					if _, ok := c.get("pcompose " + n); ok {
						t.Errorf("%s: no longer differs", line)
					}
					continue
				}
				differs = true
				if *record != "" {
					c.set("pcompose "+n, got)
				}
				if known, _ := c.get("pcompose " + n); got != known {
					t.Errorf("%s: got\n%s\nwant\n%s\n%s", line, got, want, errors)
				}
			}
			_, listed := explained[name]
			if differs && !listed {
				t.Errorf("differs from docker compose, which docs/config-differences.md does not explain")
			}
			if differs {
				explained[name] = true
			}
			if after := txtar.Format(c.archive); *record != "" && !bytes.Equal(before, after) {
				if err := os.WriteFile(file, after, 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if reordered == 0 {
		t.Error("docs/config-differences.md speaks of keys in another order, and there are none")
	}
	for name, found := range explained {
		if !found && slices.Contains(files, filepath.Join(root, name+".txtar")) {
			t.Errorf("docs/config-differences.md explains a difference of %s that there is not", name)
		}
	}
}
