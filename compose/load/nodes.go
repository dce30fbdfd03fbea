package load

import (
	"fmt"
	"strings"

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

// decode is a node as the plain values compose-go works on; nodes in skip are left out.
func (l *loading) decode(n *yaml.Node) (any, error) {
	n = deref(n)
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for _, e := range entries(n) {
			if l.bad[e.value] || l.bad[deref(e.value)] {
				continue
			}
			v, err := l.decode(e.value)
			if err != nil {
				return nil, err
			}
			m[e.key.Value] = v
		}
		return m, nil
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			if l.bad[c] || l.bad[deref(c)] {
				continue
			}
			v, err := l.decode(c)
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
