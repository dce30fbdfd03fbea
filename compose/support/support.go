// Package support is the table of what becomes of each attribute of a Compose file.
//
// It says what is done rather than what is not, so that a key that the specification gains is told of until it is.
package support

import (
	_ "embed" // the table
	"fmt"
	"strings"
)

//go:embed attributes.txt
var attributes string

// State is what becomes of an attribute, or of a value of one.
type State string

// The states. Unneeded is what has nothing to do on one machine or in a pod; Changed what a pod does otherwise than docker;
// Refused is not done, and no pod is made of a file that has it.
const (
	Done     State = "done"
	Unneeded State = "not needed"
	Changed  State = "changed"
	NotDone  State = "not done"
	Refused  State = "refused"
)

// Attribute is a row of the table.
type Attribute struct {
	// Path has "*" for a name that the user has chosen, "[]" for an item of a list.
	Path string
	// Names says that all below it belongs to it, by names that the user has chosen.
	Names bool
	State State
	// Why it is not simply done; "" where it is, or where the Limits say it.
	Why string
	// Test is a script of testdata/script, or a file below the repository's root, that has the attribute; "" for none.
	Test string
	// Limits are values of it that go otherwise.
	Limits []Limit
}

// Limit is a kind of value that goes otherwise than its attribute.
type Limit struct {
	// Name is that by which Table.Limit finds it.
	Name  string
	State State
	// Words are for fmt.Sprintf, with %q for what the value is, if anything.
	Words string
	// Quiet says that it is not worth a warning.
	Quiet bool
}

// Say is the limit in words about a value; words that do not name it leave it out.
func (l Limit) Say(value ...any) string {
	if !strings.Contains(l.Words, "%q") {
		return l.Words
	}
	return fmt.Sprintf(l.Words, value...)
}

// Section is a part of the table with a heading.
type Section struct {
	Title      string
	Attributes []*Attribute
}

// Table finds attributes. It does not change.
type Table struct {
	// Sections are in the order of the file.
	Sections []Section
	root     *node
}

// node is a step of paths; attribute is nil where no path of the table ends.
type node struct {
	attribute *Attribute
	below     map[string]*node
}

// New is the table. It panics where the table cannot be read, which a test sees first.
func New() *Table {
	t := &Table{root: &node{}}
	var prefix string
	var row []*Attribute
	for i, line := range strings.Split(attributes, "\n") {
		text := strings.TrimSpace(line)
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
		case strings.HasPrefix(line, "== "):
			var title string
			prefix, title, _ = strings.Cut(line[len("== "):], ": ")
			prefix = strings.TrimSpace(prefix)
			t.Sections = append(t.Sections, Section{Title: title})
		case strings.HasPrefix(line, "  "):
			cells := split(text[1:], 3, i)
			limit := Limit{Name: cells[0], State: State(cells[1]), Words: cells[2], Quiet: text[0] == '~'}
			for _, a := range row {
				a.Limits = append(a.Limits, limit)
			}
		default:
			row = t.row(prefix, split(text, 4, i))
		}
	}
	return t
}

// split is a line's cells; the last may be left out.
func split(line string, cells, number int) []string {
	all := strings.SplitN(line, "|", cells)
	if len(all) < cells-1 {
		panic(fmt.Sprintf("attributes.txt:%d: too few cells", number+1))
	}
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return append(all, make([]string, cells-len(all))...)
}

// row adds the attributes of a line.
func (t *Table) row(prefix string, cells []string) []*Attribute {
	var row []*Attribute
	section := &t.Sections[len(t.Sections)-1]
	for _, key := range strings.Fields(cells[0]) {
		path, names := strings.CutSuffix(prefix+key, ".**")
		a := &Attribute{Path: path, Names: names, State: State(cells[1]), Test: strings.Trim(cells[2], "-"), Why: cells[3]}
		n := t.root
		for _, step := range Steps(path) {
			if n.below == nil {
				n.below = map[string]*node{}
			}
			if n.below[step] == nil {
				n.below[step] = &node{}
			}
			n = n.below[step]
		}
		n.attribute = a
		section.Attributes, row = append(section.Attributes, a), append(row, a)
	}
	return row
}

// Steps are the steps of a path of the table: services, *, ports, [], target. Those of a file's keys are taken as they are, but
// for keys with a dot of their own, such as x-podman.rootfs.
func Steps(path string) []string { return strings.Split(strings.ReplaceAll(path, "[]", ".[]"), ".") }

// Find is the attribute that keys of a file lead to; list items are "[0]" in them. known is false for what the table does not
// have. An attribute is nil where keys lead to a part of a longer path, or into an attribute.
func (t *Table) Find(keys ...string) (a *Attribute, known bool) {
	n := t.root
	for i, key := range keys {
		if len(keys) > 4 && i == 3 && keys[0] == "services" && keys[2] == "pre_start" && keys[4] != "per_replica" && !strings.HasPrefix(keys[4], "x-") {
			return t.Find(append([]string{"services", keys[1]}, keys[4:]...)...) // a hook has the keys of a service
		}
		steps := []string{key}
		switch {
		case strings.HasPrefix(key, "["):
			steps[0] = "[]"
		case strings.HasPrefix(key, "x-podman.") && n.below["*"] == nil:
			steps = strings.SplitN(key, ".", 2)
		}
		for _, step := range steps {
			next := n.below[step]
			if next == nil {
				next = n.below["*"]
			}
			if next == nil {
				// An item of a list that has no rows of its own is part of the list.
				inside := n.attribute != nil && (n.attribute.Names || step == "[]")
				return nil, inside
			}
			n = next
		}
	}
	return n.attribute, true
}

// Limit is a limit of an attribute by the path and the name that the table has for it. It panics where there is none.
func (t *Table) Limit(path, name string) Limit {
	if a, _ := t.Find(Steps(path)...); a != nil {
		for _, l := range a.Limits {
			if l.Name == name {
				return l
			}
		}
	}
	panic(fmt.Sprintf("attributes.txt has no limit %q of %s", name, path))
}

// Key is the attribute's own key, as a file has it.
func (a *Attribute) Key() string {
	if i := strings.Index(a.Path, "x-podman."); i >= 0 {
		return a.Path[i:]
	}
	return a.Path[strings.LastIndex(a.Path, ".")+1:]
}

// Say is why an attribute is not simply done, in words for who wrote it; "" where it is done.
func (a *Attribute) Say() string {
	key := a.Key()
	switch {
	case a.State == Done:
		return ""
	case a.State == NotDone && a.Why == "":
		return fmt.Sprintf("%q is not supported yet and is ignored", key)
	case a.State == NotDone:
		return fmt.Sprintf("%q is ignored: %s", key, a.Why)
	}
	return a.Why
}
