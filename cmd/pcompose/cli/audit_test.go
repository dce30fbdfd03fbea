package cli

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// peerFlag is a flag of docker compose: what its --help says.
type peerFlag struct{ short, name, takes, byDefault string }

// peerCommand is a command of docker compose; "(global)" is what stands in front of one.
type peerCommand struct {
	name  string
	flags []peerFlag
}

const beforeCommand = "(global)"

// tableLines are the lines of a file of testdata that say something.
func tableLines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(text), "\n"), func(l string) bool { return l == "" || strings.HasPrefix(l, "#") })
}

func peerCommands(t *testing.T, file string) []peerCommand {
	t.Helper()
	var all []peerCommand
	for _, l := range tableLines(t, file) {
		text, isFlag := strings.CutPrefix(l, "  ")
		if !isFlag {
			all = append(all, peerCommand{name: text})
			continue
		}
		var f peerFlag
		text, f.byDefault, _ = strings.Cut(text, " = ")
		words := strings.Fields(text)
		if letter := words[0]; len(letter) == 2 {
			f.short, words = letter[1:], words[1:]
		}
		if len(words) > 0 {
			f.name = strings.TrimPrefix(words[0], "--")
		}
		if len(words) > 1 {
			f.takes = words[1]
		}
		last := &all[len(all)-1]
		last.flags = append(last.flags, f)
	}
	return all
}

// ours finds the flags that a command of that name has here; nil where there is no such command.
func ours(root *cobra.Command, name string) *pflag.FlagSet {
	if name == beforeCommand {
		return root.Flags()
	}
	cmd, rest, err := root.Find(strings.Fields(name))
	if err != nil || cmd == root || len(rest) > 0 {
		return nil
	}
	return cmd.Flags()
}

// unlike says in what our flag differs from docker compose's; "" in nothing that a command line notices.
func unlike(f *pflag.FlagSet, peer peerFlag) string {
	got := f.Lookup(peer.name)
	if got == nil {
		return "missing"
	}
	if got.Shorthand != peer.short {
		return "its letter is " + got.Shorthand
	}
	if isSwitch := got.NoOptDefVal != ""; isSwitch != (peer.takes == "") {
		return "it takes a value, or takes none"
	}
	if slices.Contains([]string{"stringArray", "list", "scale", "filter"}, peer.takes) && !repeats(got) {
		return "it cannot be given twice"
	}
	// A help that names no default has an empty one; ours may spell out what docker compose writes into the text.
	if peer.byDefault != "" && got.DefValue != peer.byDefault {
		return "its default is " + got.DefValue
	}
	if peer.takes == "" && peer.byDefault == "" && got.DefValue != "false" {
		return "it is on by default"
	}
	return ""
}

// repeats says whether a flag keeps the values it was given before.
func repeats(f *pflag.Flag) bool {
	_, scale := f.Value.(*scales)
	return scale || f.Value.Type() == "stringArray"
}

// differences are the lines of a file of differences: a command, or a command and a flag, and what there is to say of it.
func differences(t *testing.T, file string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, l := range tableLines(t, file) {
		what, why, ok := strings.Cut(l, ": ")
		if !ok || all[what] != "" {
			t.Errorf("%s: %q is no difference with a reason, or is there twice", file, l)
		}
		all[what] = why
	}
	return all
}

// TestFlagsOfDockerCompose holds our command line against docker compose's: each command and flag is there, or is a
// difference that says why.
func TestFlagsOfDockerCompose(t *testing.T) {
	env, _ := testEnv(nil)
	root := newRoot(env)
	reasons, met := differences(t, "compose-differences.txt"), map[string]bool{}
	differs := func(what, how string) {
		met[what] = true
		if reasons[what] == "" {
			t.Errorf("%s: %s: add it, or say why not in testdata/compose-differences.txt", what, how)
		}
	}
	for _, peer := range peerCommands(t, "compose-flags.txt") {
		group, _, _ := strings.Cut(peer.name, " ")
		flags := ours(root, peer.name)
		switch {
		case flags == nil && peer.name != group && met[group]: // the group's line is theirs too
		case flags == nil:
			differs(peer.name, "missing")
		default:
			for _, f := range peer.flags {
				if how := unlike(flags, f); how != "" {
					differs(strings.TrimPrefix(peer.name+" --"+f.name, beforeCommand+" "), how)
				}
			}
		}
	}
	for what := range reasons {
		if !met[what] {
			t.Errorf("%s is no difference any more: take it out of testdata/compose-differences.txt", what)
		}
	}
}

// TestDryRunEverywhere finds a command without --dry-run.
func TestDryRunEverywhere(t *testing.T) {
	env, _ := testEnv(nil)
	for _, cmd := range newRoot(env).Commands() {
		if cmd.Flag("dry-run") == nil {
			t.Errorf("%s has no --dry-run", cmd.Name())
		}
	}
}
