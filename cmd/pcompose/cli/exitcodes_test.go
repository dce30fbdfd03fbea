package cli

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// exitRows are the rows of docs/exit-codes.md: the commands of each code.
func exitRows(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, l := range strings.Split(string(text), "\n") {
		if cells := strings.Split(l, "|"); len(cells) > 4 && !strings.Contains(l, "---") {
			for _, name := range strings.Split(cells[2], ",") {
				code := strings.TrimSpace(cells[1])
				rows[code] = append(rows[code], strings.Fields(strings.Trim(strings.TrimSpace(name), "`"))[0])
			}
		}
	}
	return rows
}

// TestExitCodesAreDocumented finds codes that a command can end with and docs/exit-codes.md does not have, and commands of
// the table that there are not.
func TestExitCodesAreDocumented(t *testing.T) {
	rows := exitRows(t)
	env, _ := testEnv(nil)
	for _, err := range []error{nil, errors.New("failed"), interrupted{2}, interrupted{15}} {
		if code := strconv.Itoa(env.end(err)); !slices.Contains(rows[code], "all") {
			t.Errorf("%v ends with %s, which is not documented for all commands", err, code)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	ends := regexp.MustCompile(`\bexit\{(?:code: *)?(\w+)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range ends.FindAllStringSubmatch(string(text), -1) {
			code := m[1]
			if _, err := strconv.Atoi(code); err != nil {
				code = "the process's"
			}
			// The file is the command's; attach.go is an up in the foreground.
			command, _, _ := strings.Cut(strings.TrimSuffix(file, ".go"), "_")
			if file == "attach.go" {
				command = "up"
			}
			if !slices.Contains(rows[code], command) {
				t.Errorf("%s ends with %s: docs/exit-codes.md has no row that says so", command, m[0])
			}
		}
	}
	root := CommandLine()
	for code, commands := range rows {
		for _, name := range commands {
			if cmd, _, err := root.Find([]string{name}); code != "code" && name != "all" && (err != nil || cmd == root) {
				t.Errorf("docs/exit-codes.md has code %s for %s, which is no command", code, name)
			}
		}
	}
}
