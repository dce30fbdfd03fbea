package cli

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// TestHelp reads the help of every command: it says more than its first line, and fits the screen.
func TestHelp(t *testing.T) {
	root := CommandLine()
	var read func(*cobra.Command)
	read = func(cmd *cobra.Command) {
		var out bytes.Buffer
		cmd.SetOut(&out)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		if cmd.Long == "" && !cmd.Hidden {
			t.Errorf("%s has no help: say in help.txt what it changes", cmd.CommandPath())
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if utf8.RuneCountInString(line) > 100 {
				t.Errorf("%s: a line is wider than the screen:\n%s", cmd.CommandPath(), line)
			}
		}
		for _, sub := range cmd.Commands() {
			read(sub)
		}
	}
	read(root)
}
