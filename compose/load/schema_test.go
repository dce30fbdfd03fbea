package load

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	spec "github.com/compose-spec/compose-go/v2/schema"
)

// TestSchema holds schema.json to be compose-go's schema without what only people read; -update makes it anew.
func TestSchema(t *testing.T) {
	var full any
	if err := json.Unmarshal([]byte(spec.Schema), &full); err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(withoutProse(full))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(want, schemaText()) {
		return
	}
	if !*update {
		t.Fatal("schema.json is not that of the compose-go in go.mod: run with -update")
	}
	if err := os.WriteFile("schema.json", want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// withoutProse drops descriptions and the like, but keeps properties that are so named.
func withoutProse(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"description", "title", "deprecated", "default", "$schema", "$id"} {
			if _, isSchema := v[key].(map[string]any); !isSchema {
				delete(v, key)
			}
		}
		for k := range v {
			v[k] = withoutProse(v[k])
		}
	case []any:
		for i := range v {
			v[i] = withoutProse(v[i])
		}
	}
	return v
}

// TestSchemaCoversKeywords fails when the specification begins to use a keyword that the walk does not know.
func TestSchemaCoversKeywords(t *testing.T) {
	known := map[string]bool{}
	for _, k := range []string{"$ref", "$defs", "type", "properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "items",
		"oneOf", "allOf", "required", "enum", "pattern", "minimum", "maximum", "uniqueItems",
		// anyOf only asks a job for one of two keys; jobs are not carried out.
		"anyOf"} {
		known[k] = true
	}
	var root map[string]any
	if err := json.Unmarshal(schemaText(), &root); err != nil {
		t.Fatal(err)
	}
	var visit func(map[string]any)
	visit = func(s map[string]any) {
		for k, v := range s {
			if !known[k] {
				t.Errorf("the schema uses %q", k)
			}
			switch v := v.(type) {
			case map[string]any:
				if k == "properties" || k == "patternProperties" || k == "$defs" {
					for _, p := range v {
						visit(p.(map[string]any))
					}
				} else {
					visit(v)
				}
			case []any:
				for _, o := range v {
					if m, ok := o.(map[string]any); ok {
						visit(m)
					}
				}
			}
		}
	}
	visit(root)
}
