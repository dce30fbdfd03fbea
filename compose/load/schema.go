package load

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// schema is what the Compose specification's JSON schema uses of JSON Schema (draft 2020-12).
// A walk of our own over YAML nodes knows lines and columns, finds every error, and costs 2 ms where compiling
// the schema with a general validator costs 20.
type schema struct {
	Ref                   string             `json:"$ref"`
	Defs                  map[string]*schema `json:"$defs"`
	Type                  oneOrMany          `json:"type"`
	Properties            map[string]*schema `json:"properties"`
	PatternProperties     map[string]*schema `json:"patternProperties"`
	AdditionalProperties  schemaOrBool       `json:"additionalProperties"`
	UnevaluatedProperties *bool              `json:"unevaluatedProperties"`
	Items                 *schema            `json:"items"`
	OneOf                 []*schema          `json:"oneOf"`
	AllOf                 []*schema          `json:"allOf"`
	Required              []string           `json:"required"`
	Enum                  []string           `json:"enum"`
	Pattern               string             `json:"pattern"`
	Minimum               *float64           `json:"minimum"`
	Maximum               *float64           `json:"maximum"`
	UniqueItems           bool               `json:"uniqueItems"`
}

// oneOrMany is a JSON string or a list of them.
type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*o = []string{strings.Trim(string(b), `"`)}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

// schemaOrBool is additionalProperties: closed when false.
type schemaOrBool struct {
	closed bool
	schema *schema
}

func (s *schemaOrBool) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "true":
		return nil
	case "false":
		s.closed = true
		return nil
	}
	return json.Unmarshal(b, &s.schema)
}

// schemaFile is compose-go's schema without its prose, which is most of it and costs 2 ms to skip; TestSchema keeps it so.
//
//go:embed schema.json
var schemaFile string

func schemaText() []byte { return []byte(schemaFile) }

// specification parses the schema, with the references resolved and allOf folded in.
func specification() (*schema, error) {
	var root schema
	if err := json.Unmarshal(schemaText(), &root); err != nil {
		return nil, fmt.Errorf("cannot read the Compose schema: %w", err)
	}
	r := resolver{defs: root.Defs, done: map[*schema]bool{}}
	r.resolve(&root)
	return &root, nil
}

type resolver struct {
	defs map[string]*schema
	done map[*schema]bool
}

// get is the schema that s refers to, itself where it does not.
func (r resolver) get(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = r.defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	if s != nil {
		r.resolve(s)
	}
	return s
}

// resolve replaces the references below s by what they refer to.
func (r resolver) resolve(s *schema) {
	if r.done[s] {
		return
	}
	r.done[s] = true
	for _, m := range []map[string]*schema{s.Properties, s.PatternProperties} {
		for k := range m {
			m[k] = r.get(m[k])
		}
	}
	for _, l := range [][]*schema{s.OneOf, s.AllOf} {
		for i := range l {
			l[i] = r.get(l[i])
		}
	}
	s.Items = r.get(s.Items)
	s.AdditionalProperties.schema = r.get(s.AdditionalProperties.schema)
	for _, part := range s.AllOf {
		if s.Properties == nil {
			s.Properties = map[string]*schema{}
		}
		maps.Copy(s.Properties, part.Properties)
		if s.PatternProperties == nil {
			s.PatternProperties = map[string]*schema{}
		}
		maps.Copy(s.PatternProperties, part.PatternProperties)
		s.Type = append(s.Type, part.Type...)
	}
	s.AllOf = nil
}

// forms are the alternatives of s: itself, or what oneOf lists, however nested.
func (s *schema) forms() []*schema {
	if len(s.OneOf) == 0 {
		return []*schema{s}
	}
	var all []*schema
	for _, o := range s.OneOf {
		all = append(all, o.forms()...)
	}
	return all
}

// types are the JSON types that s takes, in the order of the schema; none means any.
func (s *schema) types() []string {
	var all []string
	for _, f := range s.forms() {
		for _, t := range f.Type {
			if !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	return all
}

// closed says that keys the schema does not name are errors.
func (s *schema) closed() bool {
	return s.AdditionalProperties.closed || s.UnevaluatedProperties != nil && !*s.UnevaluatedProperties
}
