package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
)

// service is a service as written.
type service = types.ServiceConfig

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
func (o *configOptions) hashes(project *compose.Project, names []string) ([]byte, error) {
	if o.hash != "*" {
		names = strings.Split(o.hash, ",")
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

func lines(list []string) []byte {
	if len(list) == 0 {
		return nil
	}
	return []byte(strings.Join(list, "\n") + "\n")
}
