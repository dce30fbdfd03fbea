package load

import (
	"errors"
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/tree"
	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
)

// substitute replaces variables as the Compose specification's interpolation says: $A, ${A}, ${A:-d}, ${A-d}, ${A:?e}, ${A?e},
// ${A:+v}, ${A+v}, nested in d, e and v, and $$ for a dollar. It stands in for compose-go's template.Substitute, which
// writes unset variables to the log of the whole process: here they go to unset. Errors are template's.
func substitute(text string, lookup template.Mapping, unset func(name string)) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		rest := text[i:]
		dollar := strings.IndexByte(rest, '$')
		if dollar < 0 || dollar == len(rest)-1 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:dollar])
		i += dollar + 1
		rest = text[i:]
		switch name := variable(rest); {
		case rest[0] == '$':
			b.WriteByte('$')
			i++
		case rest[0] == '{':
			end := closing(rest)
			if end < 0 {
				return "", &template.InvalidTemplateError{Template: text}
			}
			value, err := braced(rest[1:end], text, lookup, unset)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			i += end + 1
		case name != "":
			b.WriteString(plainValue(name, lookup, unset))
			i += len(name)
		default:
			b.WriteByte('$')
		}
	}
	return b.String(), nil
}

// braced is the value of what stands between ${ and }.
func braced(expr, text string, lookup template.Mapping, unset func(string)) (string, error) {
	name := variable(expr)
	if name == "" {
		return "", &template.InvalidTemplateError{Template: text}
	}
	op, arg := expr[len(name):], ""
	if op == "" {
		return plainValue(name, lookup, unset), nil
	}
	value, set := lookup(name)
	if op[0] == ':' {
		set = set && value != ""
		op = op[1:]
	}
	if op == "" {
		return "", &template.InvalidTemplateError{Template: text}
	}
	op, arg = op[:1], op[1:]
	wanted := set
	switch op {
	case "-", "?":
		wanted = !set
	case "+":
	default:
		return "", &template.InvalidTemplateError{Template: text}
	}
	if !wanted {
		return value, nil
	}
	arg, err := substitute(arg, lookup, unset)
	if err == nil && op == "?" {
		err = &template.MissingRequiredError{Variable: name, Reason: arg}
	}
	return arg, err
}

func plainValue(name string, lookup template.Mapping, unset func(string)) string {
	value, ok := lookup(name)
	if !ok {
		unset(name)
	}
	return value
}

// variable is the name that s starts with, "" for none.
func variable(s string) string {
	for i := range len(s) {
		c := s[i] | 0x20
		if s[i] != '_' && !('a' <= c && c <= 'z') && (i == 0 || !('0' <= s[i] && s[i] <= '9')) {
			return s[:i]
		}
	}
	return s
}

// closing is the index of the brace that closes the one s starts with, -1 for none.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	// ${A:-{} has more opening braces than closing ones: the last closing one is meant.
	return strings.LastIndexByte(s, '}')
}

// interpolate replaces the variables in all values below n, in place: bad ones are recorded and marked.
func (l *loading) interpolate(doc *document, n *yaml.Node, keys []string) {
	switch n = deref(n); n.Kind {
	case yaml.MappingNode:
		for _, e := range entries(n) {
			l.interpolate(doc, e.value, step(keys, e.key.Value))
		}
		return
	case yaml.SequenceNode:
		for i, c := range n.Content {
			l.interpolate(doc, c, step(keys, item(i)))
		}
		return
	}
	if n.ShortTag() != "!!str" {
		return
	}
	l.textAt(keys)
	if !strings.Contains(n.Value, "$") || l.seen[n] {
		return
	}
	l.seen[n] = true
	lookup := func(name string) (string, bool) { v, ok := doc.env[name]; return v, ok }
	at := position(doc, n)
	value, err := substitute(n.Value, lookup, func(name string) {
		l.warnings = append(l.warnings, compose.Problem{At: at, Path: compose.Path(keys...),
			Message: fmt.Sprintf("the variable %q is not set, an empty string stands for it", name),
			Hint:    fmt.Sprintf("write ${%s:-} to say that this is meant", name)})
	})
	if err == nil {
		l.values[n] = value
		return
	}
	l.bad[n] = true
	path := compose.Path(keys...)
	var missing *template.MissingRequiredError
	if errors.As(err, &missing) {
		message := fmt.Sprintf("the variable %q is required and not set", missing.Variable)
		if missing.Reason != "" {
			message = fmt.Sprintf("the variable %q is required: %s", missing.Variable, missing.Reason)
		}
		l.problem(at, path, message, "set it in the environment or in .env")
		return
	}
	l.problem(at, path, fmt.Sprintf("cannot read the variables in %q", n.Value), "write $$ for a dollar that is meant as one")
}

// textAt remembers under which keys strings stand: the last two that are no list items.
func (l *loading) textAt(keys []string) {
	for i, left := len(keys)-1, 2; i >= 0 && left > 0; i-- {
		if !strings.HasPrefix(keys[i], "[") {
			l.texts[keys[i]] = true
			left--
		}
	}
}

// casts are the rules of all by which a string of these files could become a number or a boolean. compose-go tries every
// rule on every value, which for a small file is a tenth of its time; most files have strings under none of these keys.
func (l *loading) casts(all map[tree.Path]interpolation.Cast) map[tree.Path]interpolation.Cast {
	few := map[tree.Path]interpolation.Cast{}
	for pattern, cast := range all {
		parts := pattern.Parts()
		for len(parts) > 0 && (parts[len(parts)-1] == tree.PathMatchAll || parts[len(parts)-1] == tree.PathMatchList) {
			parts = parts[:len(parts)-1]
		}
		if len(parts) > 0 && l.texts[parts[len(parts)-1]] {
			few[pattern] = cast
		}
	}
	return few
}

// value is a scalar with its variables replaced.
func (l *loading) value(n *yaml.Node) string {
	if v, ok := l.values[n]; ok {
		return v
	}
	return n.Value
}
