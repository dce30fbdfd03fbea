package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestComplete completes command lines as a shell does, in a folder with a Compose file.
func TestComplete(t *testing.T) {
	dir := t.TempDir()
	file := "name: shop\nservices:\n  web: {image: a}\n  worker: {image: a, profiles: [jobs]}\n  db: {image: a}\n"
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for _, tt := range []struct{ dir, args, want string }{
		{dir, "up |", "db web worker"},
		{dir, "up w|", "web worker"},
		{dir, "up web |", "db worker"},
		{dir, "-f compose.yaml logs -f d|", "db"},
		{empty, "--project-directory " + dir + " stop |", "db web worker"},
		{dir, "exec |", "db web worker"},
		{dir, "exec web |", ""},
		{dir, "scale w|", "web= worker="},
		{dir, "up --scale d|", "db="},
		{dir, "up --exit-code-from |", "db web worker"},
		{dir, "--profile |", "jobs"},
		{dir, "--progress |", "auto json plain quiet tty"},
		{dir, "--progress p|", "plain"},
		{dir, "up --pull n|", "never"},
		{dir, "kill -s SIGK|", "SIGKILL"},
		{dir, "resta|", "restart"},
		{dir, "volume r|", "rm"},
		{empty, "up |", ""},
		{dir, "-f no-such.yaml up |", ""},
		{dir, "--ansi sometimes up |", ""},
	} {
		args := []string{"pcompose", "__completeNoDesc"}
		args = append(args, strings.Fields(strings.TrimSuffix(tt.args, "|"))...)
		if strings.HasSuffix(tt.args, " |") {
			args = append(args, "")
		}
		t.Chdir(tt.dir)
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		Run(t.Context(), args, Streams{In: os.Stdin, Out: out, Err: null}, []string{"PCOMPOSE_ROOT=" + empty, "PCOMPOSE_RUNROOT=" + empty}, Build{})
		text, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if got := strings.Join(lines[:len(lines)-1], " "); got != tt.want {
			t.Errorf("%s: got %q, want %q (%s)", tt.args, got, tt.want, lines[len(lines)-1])
		}
	}
}
