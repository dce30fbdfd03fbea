package cli

import (
	_ "embed" // the texts of help
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

//go:embed help.txt
var helpTexts string

// helpWidth is how many columns help takes at most.
const helpWidth = 100

// help gives the commands of the tree the texts that --help shows, and puts those that docker compose has not apart.
func help(root *cobra.Command) {
	for _, section := range strings.Split(helpTexts, "\n== ")[1:] {
		path, text, _ := strings.Cut(section, "\n")
		cmd, rest, err := root.Find(strings.Fields(path))
		if err != nil || len(rest) > 0 || cmd.Long != "" {
			continue // a command that there is not yet, or that speaks for itself
		}
		cmd.Long, cmd.Example = strings.TrimSpace(text), ""
		if begin := strings.Index(text, "\n  "); begin >= 0 {
			cmd.Long, cmd.Example = strings.TrimSpace(text[:begin]), strings.TrimRight(text[begin+1:], "\n")
		}
		cmd.Long = cmd.Short + ".\n\n" + cmd.Long
	}
	root.AddGroup(&cobra.Group{ID: "compose", Title: "Commands, as docker compose has them:"}, &cobra.Group{ID: "own", Title: "Commands of pcompose:"})
	for _, cmd := range root.Commands() {
		cmd.GroupID = "compose"
		if slices.Contains([]string{"check", "doctor", "info", "plan", "pod", "volume", "image", "bundle", "login", "logout"}, cmd.Name()) {
			cmd.GroupID = "own"
		}
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages |", fmt.Sprintf(".FlagUsagesWrapped %d |", helpWidth)))
	wrapAll(root)
}

// wrapAll breaks what is wider than help.
func wrapAll(cmd *cobra.Command) {
	cmd.Long = wrap(cmd.Long)
	for _, sub := range cmd.Commands() {
		wrapAll(sub)
	}
}

// wrap fills the paragraphs of a text anew where one of their lines is too wide.
func wrap(text string) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if !slices.ContainsFunc(strings.Split(p, "\n"), func(l string) bool { return utf8.RuneCountInString(l) > helpWidth }) {
			continue
		}
		var b strings.Builder
		column := 0
		for _, word := range strings.Fields(p) {
			switch wide := utf8.RuneCountInString(word); {
			case column == 0:
				column = wide
			case column+1+wide > helpWidth:
				b.WriteByte('\n')
				column = wide
			default:
				b.WriteByte(' ')
				column += 1 + wide
			}
			b.WriteString(word)
		}
		paragraphs[i] = b.String()
	}
	return strings.Join(paragraphs, "\n\n")
}
