package support

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", os.Getenv("UPDATE") != "", "rewrite the expected output")

const root = "../../"

// file is the test of an attribute below the repository's root.
func (a *Attribute) file() string {
	if a.Test == "" || strings.Contains(a.Test, "/") {
		return a.Test
	}
	return "testdata/script/" + a.Test + ".txtar"
}

// TestTable holds the rows to be whole: a state there is, a reason where one is due, and a test that has the attribute.
func TestTable(t *testing.T) {
	states := []State{Done, Unneeded, Changed, NotDone, Refused}
	seen := map[string]bool{}
	for _, s := range New().Sections {
		for _, a := range s.Attributes {
			switch {
			case seen[a.Path]:
				t.Errorf("%s is there twice", a.Path)
			case !slices.Contains(states, a.State):
				t.Errorf("%s: there is no state %q", a.Path, a.State)
			case a.State == Done && (a.Why != "" || a.Test == ""):
				t.Errorf("%s is done: a test shows it, and there is nothing to explain", a.Path)
			case a.State == Done && strings.Contains(a.Test, "/invalid/"):
				t.Errorf("%s: a test of errors shows nothing done", a.Path)
			case a.State != Done && a.Why == "" && len(a.Limits) == 0:
				t.Errorf("%s says no reason", a.Path)
			}
			seen[a.Path] = true
			for _, l := range a.Limits {
				if !slices.Contains(states, l.State) || l.State == Done {
					t.Errorf("%s: a limit is %q", a.Path, l.State)
				}
			}
			if a.Test == "" {
				continue
			}
			text, err := os.ReadFile(root + a.file())
			if err != nil {
				t.Errorf("%s: %v", a.Path, err)
			}
			if key := regexp.QuoteMeta(a.Path[strings.LastIndex(a.Path, ".")+1:]); key != `\*` && !regexp.MustCompile(`(^|[^\w])`+key+`[^\w]`).Match(text) {
				t.Errorf("%s: %s does not have it", a.Path, a.file())
			}
		}
	}
}

func TestFind(t *testing.T) {
	for _, test := range []struct {
		keys  string
		path  string
		known bool
	}{
		{"services web image", "services.*.image", true},
		{"services web", "", true},
		{"services image image", "services.*.image", true},
		{"services web ports", "services.*.ports", true},
		{"services web ports [0]", "", true},
		{"services web ports [0] target", "services.*.ports[].target", true},
		{"services web command [3]", "", true},
		{"services web environment A.B", "", true},
		{"services web environment", "services.*.environment", true},
		{"services web pre_start [0] image", "services.*.image", true},
		{"services web pre_start [0] per_replica", "services.*.pre_start[].per_replica", true},
		{"services web pre_start [0] nonesuch", "", false},
		{"services web x-podman.no_hosts", "services.*.x-podman.no_hosts", true},
		{"services x-podman.y image", "services.*.image", true},
		{"x-podman in_pod", "x-podman.in_pod", true},
		{"services web networks a driver_opts b", "services.*.networks.*.driver_opts.*", true},
		{"services web nonesuch", "", false},
		{"services web ports [0] nonesuch", "", false},
		{"nonesuch", "", false},
	} {
		a, known := New().Find(strings.Fields(test.keys)...)
		path := ""
		if a != nil {
			path = a.Path
		}
		if path != test.path || known != test.known {
			t.Errorf("%s: found %q, %v, not %q, %v", test.keys, path, known, test.path, test.known)
		}
	}
}

// TestDocument holds docs/compose-support.md to be the table; -update writes it.
func TestDocument(t *testing.T) {
	const file = root + "docs/compose-support.md"
	got, want := document(New()), ""
	if text, err := os.ReadFile(file); err == nil {
		want = string(text)
	} else if !*update {
		t.Fatal(err)
	}
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what compose/support/attributes.txt says: run `make golden`", file)
	}
	if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
}

// document is the table for people.
func document(table *Table) string {
	var b strings.Builder
	b.WriteString(`# Attributes of a Compose file

What becomes of each attribute of the Compose specification, written by ` + "`make golden`" + ` from
[compose/support/attributes.txt](../compose/support/attributes.txt); a test holds that file against the specification's schema, so that
an attribute it gains cannot be missed. ` + "`pcompose check`" + ` says the same of the attributes of a project, with their places.

* **done**: as the specification has it.
* **not needed**: there is nothing to do for it.
* **changed**: a pod does it otherwise than docker.
* **not done**: it is ignored, with a warning; with ` + "`--strict`" + ` that is an error.
* **refused**: an error.

Where values of an attribute go otherwise, they stand below it. *N* is a name of the user's. A test is a script in
[testdata/script](../testdata/script), or a file of unit tests.
`)
	for _, s := range table.Sections {
		fmt.Fprintf(&b, "\n## %s\n\n| attribute | | why | test |\n|---|---|---|---|\n", s.Title)
		for _, a := range s.Attributes {
			test := ""
			if a.Test != "" {
				test = fmt.Sprintf("[%s](../%s)", strings.TrimSuffix(a.Test[strings.LastIndex(a.Test, "/")+1:], ".txtar"), a.file())
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", strings.ReplaceAll(a.Path, "*", "N"), a.State, cell(a.Why), test)
			for _, l := range a.Limits {
				fmt.Fprintf(&b, "| | %s | %s | |\n", l.State, cell(strings.ReplaceAll(l.Words, "%q", "…")))
			}
		}
	}
	return b.String()
}

// cell is text that a cell of a table can have.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
