package doctor

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the reports in testdata")

// read decodes facts over those that m has already.
func read(t *testing.T, m *Machine, facts []byte) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(facts))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		t.Fatalf("bad facts: %v", err)
	}
}

// print is a report as the goldens have it. What is in order is left out unless all is asked for.
func print(r Report, all bool) string {
	var b strings.Builder
	for _, f := range r.Checks {
		if f.Status == OK && !all {
			continue
		}
		fmt.Fprintf(&b, "%s %s: %s\n", f.Status, f.Check, f.Found)
		if f.Status != OK || all {
			fmt.Fprintf(&b, "    why: %s\n", f.Why)
		}
		for _, line := range f.Fix {
			fmt.Fprintf(&b, "    fix: %s\n", line)
		}
	}
	fmt.Fprintf(&b, "%d ok, %d warnings, %d missing\n", r.OK, r.Warnings, r.Missing)
	return b.String()
}

// TestExamine judges the machines of testdata. Each says what it has otherwise than a good one, of root or of a user.
func TestExamine(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no machines: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			kind, facts, report := archive.Files[0].Name, archive.Files[0].Data, &archive.Files[1]
			good, err := os.ReadFile(filepath.Join("testdata", "good-"+kind))
			if err != nil {
				t.Fatal(err)
			}
			var m Machine
			read(t, &m, good)
			read(t, &m, facts)
			got := print(Examine(m), strings.TrimSpace(string(facts)) == "{}")
			if *update {
				report.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(report.Data); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestNeverSilent holds that nothing is found wrong without saying why and what to do.
func TestNeverSilent(t *testing.T) {
	for _, uid := range []int{0, 1000} {
		for _, f := range Examine(Machine{User: User{UID: uid, Name: "me"}, Runtime: Runtime{Error: "none"}, RunDir: RunDir{Error: "none"}}).Checks {
			if f.Check == "" || f.Found == "" || f.Why == "" {
				t.Errorf("uid %d: %+v says too little", uid, f)
			}
			if f.Status != OK && len(f.Fix) == 0 {
				t.Errorf("uid %d: no fix for %+v", uid, f)
			}
			for _, line := range f.Fix {
				if uid != 0 && !strings.Contains(line, "sudo") && strings.Contains(line, "/etc/") && !strings.HasPrefix(line, "#") {
					t.Errorf("a user cannot do %q", line)
				}
			}
		}
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		version, floor string
		want           bool
	}{
		{"5.10.3-amd64", "5.11", true},
		{"5.11.0", "5.11", false},
		{"6.1", "5.11", false},
		{"5.6.0-rc1", "5.6", false},
		{"4.18.0-553.el8_10.x86_64", "5.6", true},
		{"5.11+", "5.11", false},
		{"", "5.6", true},
		{"unknown", "5.6", true},
	} {
		if got := older(c.version, c.floor); got != c.want {
			t.Errorf("older(%q, %q) = %v", c.version, c.floor, got)
		}
	}
}

// TestWeakRunc knows the floor of each release line.
func TestWeakRunc(t *testing.T) {
	for version, want := range map[string]bool{
		"1.1.5+ds1-1+deb12u1": true, "1.2.9": true,
		"1.3.5": true, "1.3.6": false, "1.3.10": false, "1.3.6-rc.1": true,
		"1.4.0": true, "1.4.2": true, "1.4.3": false,
		"1.5.0-rc.2": true, "1.5.0": false, "1.5.2": false, "1.6.0": false, "2.0.0": false, "": true,
	} {
		if got := weakRunc(version); got != want {
			t.Errorf("weakRunc(%q) = %v", version, got)
		}
	}
}
