package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestWriteFile: a file that was there is kept until the new one is whole, and a failure leaves nothing beside it.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "images.tar")
	write := func(text string, fails error) error {
		return writeFile(path, func(w io.Writer) error {
			io.WriteString(w, text)
			return fails
		})
	}
	broken := errors.New("broken")
	for _, step := range []struct {
		text  string
		fails error
		want  string
	}{{"half", broken, ""}, {"first", nil, "first"}, {"half", broken, "first"}, {"second", nil, "second"}} {
		if err := write(step.text, step.fails); !errors.Is(err, step.fails) {
			t.Fatalf("writing %q: %v", step.text, err)
		}
		if got, _ := os.ReadFile(path); string(got) != step.want {
			t.Errorf("after %q the file says %q, want %q", step.text, got, step.want)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
	if err := writeFile(os.DevNull, func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }); err != nil {
		t.Error(err)
	}
}
