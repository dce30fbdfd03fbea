package load

import (
	"errors"
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
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
func (w *walk) interpolate(doc *document, n *yaml.Node, keys []string) {
	switch n = deref(n); n.Kind {
	case yaml.MappingNode:
		for _, e := range entries(n) {
			w.interpolate(doc, e.value, step(keys, e.key.Value))
		}
		return
	case yaml.SequenceNode:
		for i, c := range n.Content {
			w.interpolate(doc, c, step(keys, item(i)))
		}
		return
	}
	if n.ShortTag() != "!!str" {
		return
	}
	w.textAt(keys)
	if w.raw || !strings.Contains(n.Value, "$") || w.seen[n] {
		return
	}
	w.seen[n] = true
	lookup := func(name string) (string, bool) { v, ok := doc.env[name]; return v, ok }
	at := position(doc, n)
	value, err := substitute(n.Value, lookup, func(name string) {
		w.warnings = append(w.warnings, compose.Problem{At: at, Path: compose.Path(keys...),
			Message: fmt.Sprintf("the variable %q is not set, an empty string stands for it", name),
			Hint:    fmt.Sprintf("write ${%s:-} to say that this is meant", name)})
	})
	if err == nil {
		w.values[n] = value
		return
	}
	w.bad[n] = true
	path := compose.Path(keys...)
	var missing *template.MissingRequiredError
	if errors.As(err, &missing) {
		message := fmt.Sprintf("the variable %q is required and not set", missing.Variable)
		if missing.Reason != "" {
			message = fmt.Sprintf("the variable %q is required: %s", missing.Variable, missing.Reason)
		}
		w.problem(at, path, message, "set it in the environment or in .env")
		return
	}
	w.problem(at, path, fmt.Sprintf("cannot read the variables in %q", n.Value), "write $$ for a dollar that is meant as one")
}
