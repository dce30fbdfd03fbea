package desired

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/pod"
)

// providers are the wanted services that external programs provide.
func providers(t *translation) []pod.Provider {
	var all []pod.Provider
	for _, name := range t.wanted {
		if s := t.project.Model.Services[name]; s.Provider != nil {
			all = append(all, provider(t, s))
		}
	}
	slices.SortFunc(all, func(a, b pod.Provider) int { return cmp.Compare(a.Service, b.Service) })
	return all
}

// provider is one service that a program provides. It is run before there are containers: what it gives becomes part of them.
func provider(t *translation, s types.ServiceConfig) pod.Provider {
	p := pod.Provider{Service: s.Name, Type: s.Provider.Type, Dir: t.project.Dir}
	if p.Type == "compose" { // it would be docker's own plugin
		t.problem(s, "provider.type", "write the name of a program that provides services", "%q is no type of a provider", p.Type)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Provider.Options)) {
		p.Options = append(p.Options, pod.ProviderOption{Name: name, Values: s.Provider.Options[name]})
	}
	for _, e := range t.graph.Waits(s.Name) {
		switch {
		case !slices.Contains(t.wanted, e.On):
		case t.project.Model.Services[e.On].Provider != nil:
			p.After = append(p.After, e.On)
		case e.Required:
			t.problem(s, "depends_on."+e.On, fmt.Sprintf("let the services that need both depend on both, or write required: false for %s", e.On),
				"a provider runs before any container is made, since these get variables of it, so it cannot wait for service %q", e.On)
		}
	}
	config, err := json.Marshal(s)
	if err != nil {
		t.problem(s, "provider", "", "cannot be written as JSON: %v", err)
	}
	p.Config = string(config)
	return p
}
