package load

import (
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/tree"
	"go.yaml.in/yaml/v4"
)

// entry is one key of a mapping, merge keys (<<) resolved.
type entry struct {
	key, value *yaml.Node
}

// entries are a mapping's keys in the order written; what it takes over by << comes last and never replaces its own.
func entries(n *yaml.Node) []entry {
	var own, merged []entry
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Value != "<<" || k.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			own = append(own, entry{k, v})
			seen[k.Value] = true
			continue
		}
		sources := []*yaml.Node{deref(v)}
		if sources[0].Kind == yaml.SequenceNode {
			sources = sources[0].Content
		}
		for _, s := range sources {
			if s = deref(s); s.Kind == yaml.MappingNode {
				merged = append(merged, entries(s)...)
			}
		}
	}
	for _, e := range merged {
		if !seen[e.key.Value] {
			seen[e.key.Value] = true
			own = append(own, e)
		}
	}
	return own
}

// child is the value of a key, nil where the node has none.
func child(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if n = deref(n); n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		var found *yaml.Node
		for _, e := range entries(n) {
			if e.key.Value == key {
				found = deref(e.value)
				break
			}
		}
		n = found
	}
	return n
}

// deref is what an alias stands for.
func deref(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// item is the path step of a list's item.
func item(i int) string { return fmt.Sprintf("[%d]", i) }

// step appends to a path without sharing its memory.
func step(keys []string, key string) []string {
	return append(keys[:len(keys):len(keys)], key)
}

// jsonType is the node's type as JSON schema names it. Dates are strings there.
func jsonType(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "object"
	case yaml.SequenceNode:
		return "array"
	}
	switch n.ShortTag() {
	case "!!null":
		return "null"
	case "!!bool":
		return "boolean"
	case "!!int":
		return "integer"
	case "!!float":
		return "number"
	}
	return "string"
}

// describe says a JSON schema type in the words of people who write YAML.
func describe(jsonType string) string {
	switch jsonType {
	case "object":
		return "a mapping"
	case "array":
		return "a list"
	case "null":
		return "empty"
	case "boolean":
		return "true or false"
	case "integer":
		return "a whole number"
	case "number":
		return "a number"
	}
	return "a string"
}

func describeNode(n *yaml.Node) string {
	t := jsonType(n)
	if t == "boolean" {
		return strings.ToLower(n.Value)
	}
	return describe(t)
}

// nodes is what is known of the nodes of all files, besides what stands in them.
type nodes struct {
	// seen are scalars whose variables are replaced, values the results, bad the nodes some problem is about.
	seen   map[*yaml.Node]bool
	values map[*yaml.Node]string
	bad    map[*yaml.Node]bool
	// texts are the keys that strings stand under.
	texts map[string]bool
}

func newNodes() *nodes {
	return &nodes{seen: map[*yaml.Node]bool{}, values: map[*yaml.Node]string{}, bad: map[*yaml.Node]bool{}, texts: map[string]bool{}}
}

// textAt remembers under which keys strings stand: the last two that are no list items.
func (ns *nodes) textAt(keys []string) {
	for i, left := len(keys)-1, 2; i >= 0 && left > 0; i-- {
		if !strings.HasPrefix(keys[i], "[") {
			ns.texts[keys[i]] = true
			left--
		}
	}
}

// casts are the rules of all by which a string of these files could become a number or a boolean. compose-go tries every
// rule on every value, which for a small file is a tenth of its time; most files have strings under none of these keys.
func (ns *nodes) casts(all map[tree.Path]interpolation.Cast) map[tree.Path]interpolation.Cast {
	few := map[tree.Path]interpolation.Cast{}
	for pattern, cast := range all {
		parts := pattern.Parts()
		for len(parts) > 0 && (parts[len(parts)-1] == tree.PathMatchAll || parts[len(parts)-1] == tree.PathMatchList) {
			parts = parts[:len(parts)-1]
		}
		if len(parts) > 0 && ns.texts[parts[len(parts)-1]] {
			few[pattern] = cast
		}
	}
	return few
}

// value is a scalar with its variables replaced.
func (ns *nodes) value(n *yaml.Node) string {
	if v, ok := ns.values[n]; ok {
		return v
	}
	return n.Value
}

// decode is a node as the plain values compose-go works on; bad nodes are left out.
func (ns *nodes) decode(n *yaml.Node) (any, error) {
	n = deref(n)
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for _, e := range entries(n) {
			if ns.bad[e.value] || ns.bad[deref(e.value)] {
				continue
			}
			v, err := ns.decode(e.value)
			if err != nil {
				return nil, err
			}
			m[e.key.Value] = v
		}
		return m, nil
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			if ns.bad[c] || ns.bad[deref(c)] {
				continue
			}
			v, err := ns.decode(c)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}
	if n.ShortTag() == "!!str" {
		return n.Value, nil
	}
	var v any
	err := n.Decode(&v)
	return v, err
}
