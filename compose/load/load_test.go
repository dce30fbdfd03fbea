package load

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pcompose/pcompose/compose"
)

var update = flag.Bool("update", os.Getenv("UPDATE") != "", "rewrite the expected output")

// TestInvalid loads every project of testdata/invalid. An archive holds the project's files; what is printed of it stands in
// its file "want". The file "env" has variables, "args" file names for -f.
func TestInvalid(t *testing.T) { golden(t, "testdata/invalid", invalid) }

// TestWarned loads every project of testdata/warned and compares its warnings.
func TestWarned(t *testing.T) { golden(t, "testdata/warned", warned) }

func invalid(t *testing.T, p *compose.Project, err error) string {
	if err == nil {
		t.Fatal("loads without a problem")
	}
	var ps compose.Problems
	if !errors.As(err, &ps) {
		t.Fatalf("is no compose.Problems: %v", err)
	}
	return err.Error() + "\n"
}

func warned(t *testing.T, p *compose.Project, err error) string {
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, w := range append(p.Warnings, Unsupported(p)...) {
		b.WriteString(w.Error() + "\n")
	}
	return b.String()
}

func golden(t *testing.T, dir string, print func(*testing.T, *compose.Project, error) string) {
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
			project, cwd, err := loadArchive(t, archive)
			got := strings.ReplaceAll(print(t, project, err), cwd, "$CWD")
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

// loadArchive writes an archive's files into a folder named "shop" and loads the project in it.
func loadArchive(t *testing.T, archive *txtar.Archive) (*compose.Project, string, error) {
	cwd := filepath.Join(t.TempDir(), "shop")
	opts := Options{Cwd: cwd, Environment: map[string]string{}}
	for _, f := range archive.Files {
		switch f.Name {
		case "want":
			continue
		case "env":
			for _, line := range strings.Fields(string(f.Data)) {
				name, value, _ := strings.Cut(line, "=")
				opts.Environment[name] = value
			}
			continue
		case "args":
			opts.Files = strings.Fields(string(f.Data))
			continue
		case "services":
			opts.Services = strings.Fields(string(f.Data))
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
	if err := os.MkdirAll(cwd, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := Load(context.Background(), opts)
	return p, cwd, err
}
