package load

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"

	"github.com/pcompose/pcompose/compose"
)

// Tree reads, checks and merges the files of a project as Load does, and gives what stands in them as plain values with
// their variables not replaced: a project cannot hold a variable where it has a number. The warnings are for the user to see.
func Tree(ctx context.Context, opts Options) (tree map[string]any, warnings []compose.Problem, err error) {
	opts.Skip.Interpolation = true
	l := newLoading(opts)
	files, err := l.walkFiles(ctx)
	if err == nil {
		err = l.failure()
	}
	if err != nil || files == nil {
		return nil, nil, err
	}
	// compose-go's type assertions trust its own validation, as in compose.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("these values do not fit together: %v", r)
		}
	}()
	details, err := l.details(false)
	if err != nil {
		return nil, nil, err
	}
	tree, err = loader.LoadModelWithContext(ctx, details, func(o *loader.Options) { l.configure(o, false) })
	if err != nil {
		return nil, nil, compose.Problems{foreign(err, &l.places)}.Sorted(opts.Cwd)
	}
	return tree, l.warnings.Sorted(opts.Cwd), nil
}

// Variable is a variable that the files of a project name.
type Variable struct {
	// Default stands in where the variable is not set, Presence where it is set.
	Default, Presence string
	// Required makes the file unusable while the variable is not set.
	Required bool
}

// Variables are those that stand in a tree, by name. Of several defaults the first by the order of keys counts.
func Variables(tree any) map[string]Variable {
	found := map[string]Variable{}
	variables(tree, found)
	return found
}

func variables(value any, found map[string]Variable) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			variables(value[key], found)
		}
	case []any:
		for _, item := range value {
			variables(item, found)
		}
	case string:
		for name, v := range template.ExtractVariables(map[string]any{"": value}, template.DefaultPattern) {
			have := found[name]
			found[name] = Variable{Default: cmp.Or(have.Default, v.DefaultValue), Presence: cmp.Or(have.Presence, v.PresenceValue),
				Required: have.Required || v.Required}
		}
	}
}
