package load

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/support"
)

// TestCheck compares what is said of every attribute of the projects of testdata/check.
func TestCheck(t *testing.T) { golden(t, "testdata/check", checked) }

func checked(t *testing.T, p *compose.Project, err error) string {
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range Check(p, nil) {
		b.WriteString(f.At.String() + ": " + f.Path + ": " + string(f.State))
		if f.Why != "" {
			b.WriteString(": " + f.Why)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestExamplesAreDone: what the examples show is what pcompose does.
func TestExamplesAreDone(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/compose.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		cwd, err := filepath.Abs(filepath.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Load(t.Context(), Options{Cwd: cwd, Environment: map[string]string{}})
		if err != nil {
			t.Fatal(err)
		}
		found := Check(p, nil)
		if len(found) == 0 {
			t.Errorf("%s has no attributes", file)
		}
		for _, f := range found {
			// Of a reboot no example speaks.
			if f.State != support.Done && !(f.State == support.Changed && strings.HasSuffix(f.Path, ".restart")) {
				t.Errorf("%s: %s: %s: %s: %s", file, f.At, f.Path, f.State, f.Why)
			}
		}
	}
}

// schemaPaths calls visit for each path that the schema allows, as keys of a file; named says that it names keys below.
func schemaPaths(s *schema, keys []string, seen []*schema, visit func(keys []string, named bool)) {
	if s == nil || slices.Contains(seen, s) {
		return
	}
	seen = append(slices.Clip(seen), s)
	below, named := map[string]*schema{}, false
	for _, f := range s.forms() {
		for key, b := range f.Properties {
			below[key], named = b, true
		}
		for pattern, b := range f.PatternProperties {
			if pattern != "^x-" {
				below["*"] = b
			}
		}
		if f.AdditionalProperties.schema != nil {
			below["*"] = f.AdditionalProperties.schema
		}
		if f.Items != nil {
			below["[]"] = f.Items
		}
	}
	if len(keys) > 0 {
		visit(keys, named)
	}
	for key, b := range below {
		schemaPaths(b, append(slices.Clip(keys), key), seen, visit)
	}
}

// TestTableCoversSchema finds keys of the specification that the table lacks, and the other way round.
func TestTableCoversSchema(t *testing.T) {
	root, err := specification()
	if err != nil {
		t.Fatal(err)
	}
	table, met := support.New(), map[string]bool{}
	schemaPaths(root, nil, nil, func(keys []string, named bool) {
		a, known := table.Find(keys...)
		if !known {
			t.Errorf("compose/support/attributes.txt has no %s", strings.ReplaceAll(strings.Join(keys, "."), ".[]", "[]"))
		}
		if a != nil {
			met[a.Path] = true
			if a.Names && named && a.State == support.Done {
				t.Errorf("%s.** hides keys of the specification", a.Path)
			}
		}
	})
	for _, s := range table.Sections {
		for _, a := range s.Attributes {
			if !met[a.Path] && !strings.Contains(a.Path, "x-") {
				t.Errorf("the specification has no %s", a.Path)
			}
		}
	}
}
