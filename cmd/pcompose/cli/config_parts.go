package cli

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/graph"
	"github.com/pcompose/pcompose/compose/load"
)

// listing is a flag of config that prints a list instead of the project.
type listing struct{ flag, usage string }

func listings() []listing {
	return []listing{
		{"services", "Print the names of the services, one a line"},
		{"images", "Print the images, one a line"},
		{"volumes", "Print the names of the volumes, one a line"},
		{"networks", "Print the names of the networks, one a line"},
		{"models", "Print the names of the models, one a line"},
		{"profiles", "Print the profiles, one a line"},
		{"variables", "Print the variables that the files name, and their defaults"},
		{"environment", "Print the environment used for interpolation"},
	}
}

// render is what of the project was asked for.
func (o *configOptions) render(ctx context.Context, project *compose.Project) ([]byte, error) {
	model := project.Model
	switch o.list {
	case "services":
		return lines(graph.New(model).Order()), nil
	case "volumes":
		return lines(slices.Sorted(maps.Keys(model.Volumes))), nil
	case "networks":
		return lines(slices.Sorted(maps.Keys(model.Networks))), nil
	case "models":
		var names []string
		for _, m := range model.Models {
			names = append(names, m.Model)
		}
		slices.Sort(names)
		return lines(names), nil
	case "profiles":
		return lines(profiles(model.Services, model.DisabledServices)), nil
	case "environment":
		var vars []string
		for k, v := range model.Environment {
			vars = append(vars, k+"="+v)
		}
		slices.Sort(vars)
		return lines(vars), nil
	case "images":
		var names []string
		for name, s := range model.Services {
			if s.Provider == nil {
				names = append(names, imageOf(project.Name, name, s))
			}
		}
		slices.Sort(names)
		return lines(names), nil
	}
	if o.hash != "" {
		return o.hashes(project)
	}
	if o.pin || o.lock {
		images := map[string]string{}
		for name, s := range model.Services {
			images[name] = s.Image
		}
		if err := pin(ctx, images); err != nil {
			return nil, err
		}
		for name, s := range model.Services {
			s.Image = images[name]
			model.Services[name] = s
		}
	}
	if o.lock {
		model = onlyImages(model)
	}
	printed := *project
	printed.Model = model
	return load.Config(&printed, load.Format(o.format))
}

// imageOf is the image of a service; one that is only built is named by project and service.
func imageOf(project, name string, s types.ServiceConfig) string {
	if s.Image != "" {
		return s.Image
	}
	return project + "-" + name
}

// onlyImages is a model with nothing but the images of its services: an override file.
func onlyImages(model *types.Project) *types.Project {
	only := &types.Project{Services: types.Services{}}
	for name, s := range model.Services {
		var bare types.ServiceConfig
		bare.Image = s.Image
		only.Services[name] = bare
	}
	return only
}

// profiles are those that services name, each once.
func profiles(sets ...types.Services) []string {
	var all []string
	for _, set := range sets {
		for _, s := range set {
			all = append(all, s.Profiles...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// hashes are the services' hashes, "web 0123…" a line.
func (o *configOptions) hashes(project *compose.Project) ([]byte, error) {
	names := slices.Sorted(maps.Keys(project.Model.Services))
	if o.hash != "*" {
		names = slices.Sorted(slices.Values(strings.Split(o.hash, ",")))
	}
	var out []string
	for _, name := range names {
		s, ok := project.Model.Services[name]
		if !ok {
			return nil, fmt.Errorf("no such service: %q", name)
		}
		hash, err := load.Hash(s)
		if err != nil {
			return nil, err
		}
		out = append(out, name+" "+hash)
	}
	return lines(out), nil
}

// renderTree is what was asked for of files whose variables are not replaced.
func (o *configOptions) renderTree(ctx context.Context, tree map[string]any) ([]byte, error) {
	services, _ := tree["services"].(map[string]any)
	switch o.list {
	case "variables":
		return o.variables(load.Variables(tree))
	case "services":
		return lines(slices.Sorted(maps.Keys(services))), nil
	}
	if o.pin || o.lock {
		images := map[string]string{}
		for name := range services {
			if s, ok := services[name].(map[string]any); ok {
				images[name], _ = s["image"].(string)
			}
		}
		if err := pin(ctx, images); err != nil {
			return nil, err
		}
		for name, image := range images {
			if s := services[name].(map[string]any); image != "" {
				s["image"] = image
			}
		}
	}
	if o.lock {
		tree = map[string]any{"services": services}
		for _, s := range services {
			if s, ok := s.(map[string]any); ok {
				maps.DeleteFunc(s, func(key string, _ any) bool { return key != "image" })
			}
		}
	}
	return load.Print(tree, load.Format(o.format))
}

// variables prints variables as docker compose does, which names JSON and YAML keys by the fields of its type.
func (o *configOptions) variables(found map[string]load.Variable) ([]byte, error) {
	names := slices.Sorted(maps.Keys(found))
	switch o.format {
	case "json", "yaml":
		key := func(name string) string { return name }
		if o.format == "yaml" {
			key = strings.ToLower
		}
		tree := map[string]any{}
		for _, name := range names {
			v := found[name]
			tree[name] = map[string]any{key("Name"): name, key("DefaultValue"): v.Default, key("PresenceValue"): v.Presence, key("Required"): v.Required}
		}
		return load.Print(tree, load.Format(o.format))
	case "", "table":
	default:
		return nil, fmt.Errorf("unsupported format %q: table, yaml and json are known", o.format)
	}
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 20, 1, 3, ' ', 0)
	fmt.Fprintln(w, "NAME\tREQUIRED\tDEFAULT VALUE\tALTERNATE VALUE")
	for _, name := range names {
		v := found[name]
		fmt.Fprintln(w, strings.Join([]string{name, strconv.FormatBool(v.Required), v.Default, v.Presence}, "\t"))
	}
	err := w.Flush()
	return out.Bytes(), err
}

func lines(list []string) []byte {
	if len(list) == 0 {
		return nil
	}
	return []byte(strings.Join(list, "\n") + "\n")
}
