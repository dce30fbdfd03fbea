package load

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/tree"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
)

// checker walks the nodes of a document along the schema. Every error is recorded with its place, and the node
// it is about is marked bad, so that what is right around it can still be loaded and checked further.
type checker struct {
	*report
	*nodes
	doc *document
	// whole says that the file stands alone: nothing merged into it can add a key that is missing here.
	whole bool
	// raw says that variables stay as they are written: what they stand for is not known.
	raw bool
	// castRules are compose-go's casts that may concern the document.
	castRules map[tree.Path]interpolation.Cast
}

// checker is a checker of doc, whose variables have been replaced: which casts can matter depends on the strings found.
func (w *walk) checker(doc *document) checker {
	rules := w.casts(loader.ToOptions(&types.ConfigDetails{}, nil).Interpolate.TypeCastMapping)
	// Booleans are checked by the schema; compose-go's cast of them writes to the log.
	for pattern, cast := range rules {
		if _, err := cast("true"); err == nil {
			delete(rules, pattern)
		}
	}
	return checker{report: w.report, nodes: w.nodes, doc: doc, raw: w.raw, castRules: rules}
}

// check checks the value n, found under key (nil for a list's item), against s.
func (c checker) check(n *yaml.Node, s *schema, keys []string) {
	raw := n
	n = deref(n)
	if s == nil || c.bad[n] || n.Tag == "!reset" || c.raw && n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "$") {
		return
	}
	form, wants := c.form(n, s)
	if form == nil {
		c.bad[raw] = true
		c.wrong(n, keys, "must be "+wants+", not "+describeNode(n), formHint(n, s))
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		c.mapping(n, form, keys)
	case yaml.SequenceNode:
		c.list(n, form, keys)
	default:
		why := c.scalar(n, form)
		if why == "" && jsonType(n) == "string" && !slices.Contains(form.Type, "boolean") {
			why = c.uncast(c.value(n), keys)
		}
		if why != "" {
			c.bad[raw] = true
			c.wrong(n, keys, why, "")
		}
	}
}

// wrong records a problem of the value n, at the value: that is what has to change.
func (c checker) wrong(n *yaml.Node, keys []string, message, hint string) {
	c.problem(position(c.doc, n), compose.Path(keys...), message, hint)
}

// form is the alternative of s that takes n's type; else wants says what s takes.
func (c checker) form(n *yaml.Node, s *schema) (form *schema, wants string) {
	have := jsonType(n)
	for _, f := range s.forms() {
		if len(f.Type) == 0 || slices.Contains(f.Type, have) || have == "integer" && slices.Contains(f.Type, "number") {
			return f, ""
		}
	}
	// A quoted or interpolated value is cast by compose-go to what the attribute wants.
	if have == "string" {
		for _, f := range s.forms() {
			if slices.ContainsFunc(f.Type, func(t string) bool { return castable(c.value(n), t) }) {
				return f, ""
			}
		}
	}
	var words []string
	for _, t := range s.types() {
		if t != "null" {
			words = append(words, describe(t))
		}
	}
	last := len(words) - 1
	if last < 1 {
		return nil, strings.Join(words, "")
	}
	return nil, strings.Join(words[:last], ", ") + " or " + words[last]
}

// castable says whether a string reads as a scalar of a JSON type.
func castable(s, jsonType string) bool {
	var err error
	switch jsonType {
	case "boolean":
		return slices.Contains([]string{"true", "false", "y", "yes", "on", "n", "no", "off"}, strings.ToLower(s))
	case "integer":
		_, err = strconv.ParseInt(s, 0, 64)
	case "number":
		_, err = strconv.ParseFloat(s, 64)
	default:
		return false
	}
	return err == nil
}

// formHint shows the wanted form where a small change makes it.
func formHint(n *yaml.Node, s *schema) string {
	types := s.types()
	switch {
	case n.Kind == yaml.ScalarNode && jsonType(n) != "null" && slices.Contains(types, "array") && !slices.Contains(types, "string"):
		return fmt.Sprintf("write it as a list: [%q]", n.Value)
	case n.Kind == yaml.ScalarNode && slices.Equal(types, []string{"string"}) && jsonType(n) != "null":
		return fmt.Sprintf("put it in quotes: %q", n.Value)
	case jsonType(n) == "null":
		return "give it a value or remove the key"
	}
	return ""
}

// mapping checks the keys of a mapping in the order of JSON schema: properties, patterns, then the rest.
func (c checker) mapping(n *yaml.Node, s *schema, keys []string) {
	has := map[string]bool{}
	for _, e := range entries(n) {
		name := e.key.Value
		has[name] = true
		if v, ok := s.Properties[name]; ok {
			c.check(e.value, v, step(keys, name))
			continue
		}
		matched, hit := matchPattern(s, name)
		switch {
		case hit:
			c.check(e.value, matched, step(keys, name))
		case s.AdditionalProperties.schema != nil:
			c.check(e.value, s.AdditionalProperties.schema, step(keys, name))
		case s.closed():
			c.bad[e.value] = true
			c.unknown(e, s, keys)
		}
	}
	for _, name := range s.Required {
		if c.whole && !has[name] {
			c.wrong(n, keys, fmt.Sprintf("the key %q is missing", name), "")
		}
	}
}

// unknown records a key that the schema does not have.
func (c checker) unknown(e entry, s *schema, keys []string) {
	key := e.key
	at, path := position(c.doc, key), compose.Path(keys...)
	if len(s.Properties) == 0 {
		c.problem(at, path, fmt.Sprintf("the name %q is not allowed", key.Value), "letters, digits, dots, hyphens and underscores are")
		return
	}
	known := slices.Sorted(maps.Keys(s.Properties))
	hint := compose.DidYouMean(key.Value, known)
	if image := child(e.value, "image"); hint == "" && len(keys) == 0 && image != nil {
		hint = `services belong under "services:"`
	}
	if hint == "" && len(known) <= 8 {
		hint = "known are " + strings.Join(known, ", ")
	}
	c.problem(at, path, fmt.Sprintf("unknown key %q", key.Value), hint)
}

// namePattern is the schema's pattern for names of services, networks, volumes and the like.
const namePattern = "^[a-zA-Z0-9._-]+$"

// matchPattern is the schema of the first pattern that a key matches.
func matchPattern(s *schema, key string) (*schema, bool) {
	for pattern, v := range s.PatternProperties {
		var hit bool
		switch pattern {
		case "^x-":
			hit = strings.HasPrefix(key, "x-")
		case ".+", "^.+$":
			hit = key != ""
		case namePattern:
			hit = key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
		default:
			hit, _ = regexp.MatchString(pattern, key)
		}
		if hit {
			return v, true
		}
	}
	return nil, false
}

// list checks the items of a list, and that none is there twice where the schema wants each once.
func (c checker) list(n *yaml.Node, s *schema, keys []string) {
	first := map[string]int{}
	for i, v := range n.Content {
		before := len(c.problems)
		if c.check(v, s.Items, step(keys, item(i))); len(c.problems) > before {
			// compose-go cannot make sense of half an item.
			c.bad[v] = true
		}
		if v = deref(v); !s.UniqueItems || v.Kind != yaml.ScalarNode || c.bad[v] || len(keys) == 0 || mergesRepeats(keys[len(keys)-1]) {
			continue
		}
		text := c.value(v)
		if at, ok := first[text]; ok {
			c.bad[n.Content[i]] = true
			c.wrong(v, step(keys, item(i)), fmt.Sprintf("%q is listed twice, first on line %d", text, at), "")
			continue
		}
		first[text] = v.Line
	}
}

// mergesRepeats says of which lists compose-go merges equal items, before its validation asks for unique ones (override.EnforceUnicity).
func mergesRepeats(key string) bool {
	return slices.Contains([]string{"annotations", "labels", "cap_add", "cap_drop", "dns", "dns_opt", "dns_search", "environment", "expose", "links",
		"aliases", "link_local_ips", "ports", "profiles", "sysctls", "tmpfs", "volumes", "args", "additional_contexts", "tags"}, key)
}

// scalar says what is wrong with a scalar of the right type, "" when nothing is.
func (c checker) scalar(n *yaml.Node, s *schema) string {
	value := c.value(n)
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
		return enumMessage(value, s.Enum)
	}
	if slices.Contains(s.Type, "boolean") && jsonType(n) == "string" && len(s.Type) == 2 && !castable(value, "boolean") {
		return fmt.Sprintf("must be true or false, not %q", value)
	}
	if s.Pattern != "" {
		if ok, _ := regexp.MatchString(s.Pattern, value); !ok {
			if words := strings.TrimSuffix(strings.TrimPrefix(s.Pattern, "^("), ")$"); strings.Contains(words, "|") {
				return enumMessage(value, slices.DeleteFunc(strings.Split(words, "|"), func(w string) bool { return strings.ContainsAny(w, "[(") }))
			}
			return fmt.Sprintf("%q is not a valid value", value)
		}
	}
	if f, err := strconv.ParseFloat(value, 64); err == nil && jsonType(n) != "string" {
		if s.Minimum != nil && f < *s.Minimum {
			return fmt.Sprintf("must be at least %v, not %s", *s.Minimum, value)
		}
		if s.Maximum != nil && f > *s.Maximum {
			return fmt.Sprintf("must be at most %v, not %s", *s.Maximum, value)
		}
	}
	return ""
}

// uncast says why compose-go could not make of a string the number that it casts the value of this key to.
func (c checker) uncast(value string, keys []string) string {
	var path tree.Path
	for pattern, cast := range c.castRules {
		if path == "" {
			path = treePath(keys)
		}
		if _, err := cast(value); err != nil && path.Matches(pattern) {
			return fmt.Sprintf("must be a number, not %q", value)
		}
	}
	return ""
}

// treePath is a path as compose-go's patterns have it.
func treePath(keys []string) tree.Path {
	var path tree.Path
	for _, k := range keys {
		if strings.HasPrefix(k, "[") {
			k = tree.PathMatchList
		}
		path = path.Next(k)
	}
	return path
}

// enumMessage says which words are known, and which of them was probably meant.
func enumMessage(value string, known []string) string {
	message := fmt.Sprintf("%q is none of %s", value, strings.Join(known, ", "))
	if near := compose.Nearest(value, known); near != "" {
		message += fmt.Sprintf("; did you mean %q?", near)
	}
	return message
}
