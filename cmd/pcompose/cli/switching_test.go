package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", os.Getenv("UPDATE") != "", "rewrite the expected output")

const switching = "../../../docs/switching.md"

// TestFlagsOfPodmanCompose holds our command line against podman-compose's: each command and flag is there by its name and
// letter, or is a difference that says what it became.
func TestFlagsOfPodmanCompose(t *testing.T) {
	env, _ := testEnv(nil)
	root := newRoot(env)
	root.InitDefaultVersionFlag()
	said, met := differences(t, "podman-compose-differences.txt"), map[string]bool{}
	differs := func(what, how string) {
		met[what] = true
		if said[what] == "" {
			t.Errorf("%s: %s: say what it became in testdata/podman-compose-differences.txt", what, how)
		}
	}
	for _, peer := range peerCommands(t, "podman-compose-flags.txt") {
		flags := ours(root, peer.name)
		if flags == nil {
			differs(peer.name, "missing")
			continue
		}
		for _, f := range peer.flags {
			name := "--" + f.name
			if f.name == "" {
				name = "-" + f.short
			}
			what := strings.TrimPrefix(peer.name+" "+name, beforeCommand+" ")
			got := flags.Lookup(f.name)
			if f.name == "" {
				got = flags.ShorthandLookup(f.short)
			}
			if f.name == "dry-run" {
				got = root.PersistentFlags().Lookup(f.name)
			}
			switch {
			case got == nil:
				differs(what, "missing")
			case f.short != "" && got.Shorthand != f.short:
				differs(what, "its letter is "+got.Shorthand)
			}
		}
	}
	for what := range said {
		if !met[what] {
			t.Errorf("%s is no difference any more: take it out of testdata/podman-compose-differences.txt", what)
		}
	}
}

// TestSwitching holds the tables of docs/switching.md to be the files of differences; -update writes them.
func TestSwitching(t *testing.T) {
	text, err := os.ReadFile(switching)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for _, file := range []string{"compose-differences.txt", "podman-compose-differences.txt"} {
		begin, end := fmt.Sprintf("<!-- %s -->\n", file), fmt.Sprintf("<!-- /%s -->", file)
		before, rest, ok := strings.Cut(got, begin)
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no place for %s", switching, file)
		}
		table := "| | here |\n|---|---|\n"
		for _, l := range tableLines(t, file) {
			what, why, _ := strings.Cut(l, ": ")
			table += fmt.Sprintf("| `%s` | %s |\n", what, why)
		}
		got = before + begin + table + end + after
	}
	if got == string(text) {
		return
	}
	if !*update {
		t.Fatalf("the tables of %s are not those of testdata: run `make golden`", switching)
	}
	if err := os.WriteFile(switching, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
}
