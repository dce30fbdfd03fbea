package desired_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
	"github.com/pcompose/pcompose/planner/desired"
	"github.com/pcompose/pcompose/pod"
)

var update = flag.Bool("update", os.Getenv("UPDATE") != "", "rewrite the expected output")

// TestPod loads every project of testdata/pod and compares the pod, as JSON, with the archive's file "want".
func TestPod(t *testing.T) {
	golden(t, "testdata/pod", func(t *testing.T, project *compose.Project, opts desired.Options) string {
		spec, err := podTwice(t, project, opts)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(spec, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var back pod.Spec
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		again, _ := json.MarshalIndent(back, "", "  ")
		if string(again) != string(text) {
			t.Errorf("does not survive JSON:\n%s", again)
		}
		return string(text) + "\n"
	})
}

// TestProblem compares what cannot be one pod.
func TestProblem(t *testing.T) {
	golden(t, "testdata/problem", func(t *testing.T, project *compose.Project, opts desired.Options) string {
		_, err := podTwice(t, project, opts)
		if !errors.As(err, new(compose.Problems)) {
			t.Fatalf("is no compose.Problems: %v", err)
		}
		return err.Error() + "\n"
	})
}

// podTwice is the pod of a project, which is the same each time.
func podTwice(t *testing.T, project *compose.Project, opts desired.Options) (pod.Spec, error) {
	spec, err := desired.Pod(project, opts)
	if again, _ := desired.Pod(project, opts); !reflect.DeepEqual(spec, again) {
		t.Error("gives another pod the second time")
	}
	return spec, err
}

// TestTriggers compares what develop sections ask for, with the warnings and problems of them.
func TestTriggers(t *testing.T) {
	golden(t, "testdata/triggers", func(t *testing.T, project *compose.Project, opts desired.Options) string {
		triggers, warnings, err := desired.Triggers(project, opts.Services)
		var b strings.Builder
		for _, w := range warnings {
			fmt.Fprintf(&b, "warning: %s\n", w.Error())
		}
		if err != nil {
			fmt.Fprintf(&b, "%s\n", err)
		}
		for _, tr := range triggers {
			text, err := json.Marshal(tr)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s\n", text)
		}
		return b.String()
	})
}

// golden runs every archive of dir. Its file "options" has words: a service's name, name=replicas, or -deps.
func golden(t *testing.T, dir string, print func(*testing.T, *compose.Project, desired.Options) string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			project, opts := open(t, archive)
			got := strings.ReplaceAll(print(t, project, opts), project.Dir, "$CWD")
			want := &archive.Files[len(archive.Files)-1]
			if want.Name != "want" {
				archive.Files = append(archive.Files, txtar.File{Name: "want"})
				want = &archive.Files[len(archive.Files)-1]
			}
			if string(want.Data) == got {
				return
			}
			if !*update {
				t.Errorf("got:\n%s\nwant:\n%s", got, want.Data)
				return
			}
			want.Data = []byte(got)
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func open(t *testing.T, archive *txtar.Archive) (*compose.Project, desired.Options) {
	cwd := filepath.Join(t.TempDir(), "shop")
	var opts desired.Options
	for _, f := range archive.Files {
		switch f.Name {
		case "want":
			continue
		case "options":
			for _, word := range strings.Fields(string(f.Data)) {
				name, count, scaled := strings.Cut(word, "=")
				n, _ := strconv.Atoi(count)
				switch {
				case scaled && opts.Scale == nil:
					opts.Scale = map[string]int{name: n}
				case scaled:
					opts.Scale[name] = n
				case word == "-deps":
					opts.WithoutDependencies = true
				default:
					opts.Services = append(opts.Services, word)
				}
			}
			continue
		}
		path := filepath.Join(cwd, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	project, err := load.Load(context.Background(), load.Options{Cwd: cwd, Services: opts.Services, Environment: map[string]string{"PW": "secret", "SHELL_VAR": "s"}})
	if err != nil {
		t.Fatal(err)
	}
	return project, opts
}
