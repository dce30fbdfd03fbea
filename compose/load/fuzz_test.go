package load

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pcompose/pcompose/compose"
)

// FuzzLoad loads any text as a Compose file: it is a project, or it has problems, each in one line and without Go in it.
func FuzzLoad(f *testing.F) {
	archives, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".yaml") {
				f.Add(string(file.Data))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		project, err := Load(context.Background(), Options{Files: []string{"-"}, Cwd: t.TempDir(), Name: "p", Stdin: strings.NewReader(text), Environment: map[string]string{"A": "a"}})
		if err == nil {
			Unsupported(project)
			return
		}
		var ps compose.Problems
		if !errors.As(err, &ps) {
			t.Fatalf("is no compose.Problems: %v", err)
		}
		for _, p := range ps {
			for _, word := range []string{"strconv.", "interface {}", "map[string]", "runtime error", "jsonschema", "goroutine"} {
				if strings.Contains(p.Message, word) {
					t.Errorf("shows %q: %v", word, p)
				}
			}
		}
		if _, err := os.Stat("p"); err == nil {
			t.Error("wrote a file")
		}
	})
}
