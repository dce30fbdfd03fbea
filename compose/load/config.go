package load

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
)

// Format is how Config prints a project.
type Format string

const (
	YAML Format = "yaml"
	JSON Format = "json"
)

// Config is the canonical model as `docker compose config` prints it: merged, interpolated, paths absolute, secrets' content
// never in it. A dollar is doubled, so that what is printed can be loaded again.
func Config(project *compose.Project, format Format) ([]byte, error) {
	var out []byte
	var err error
	switch format {
	case YAML, "":
		out, err = project.Model.MarshalYAML()
	case JSON:
		out, err = project.Model.MarshalJSON()
	default:
		err = unknownFormat(format)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot print project %q: %w", project.Name, err)
	}
	return bytes.ReplaceAll(out, []byte("$"), []byte("$$")), nil
}

// Print is a tree as `docker compose config --no-interpolate` prints it.
func Print(tree any, format Format) ([]byte, error) {
	switch format {
	case YAML, "":
		var out bytes.Buffer
		encoder := yaml.NewEncoder(&out)
		encoder.SetIndent(2)
		err := encoder.Encode(tree)
		return out.Bytes(), err
	case JSON:
		return json.MarshalIndent(tree, "", "  ")
	}
	return nil, unknownFormat(format)
}

// WithoutEnvFiles leaves env_file out of a project whose environment has what stood there.
func WithoutEnvFiles(project *compose.Project) *compose.Project {
	model, plain := *project.Model, *project
	model.Services = maps.Clone(model.Services)
	for name, s := range model.Services {
		s.EnvFiles = nil
		model.Services[name] = s
	}
	plain.Model = &model
	return &plain
}

func unknownFormat(format Format) error {
	return fmt.Errorf("unsupported format %q: yaml and json are known", format)
}

// Select leaves the services named and what they depend on in the model, all where none is named, and unless all is true
// only the networks, volumes, secrets and configs that some service uses.
func Select(project *compose.Project, services []string, all bool) (*compose.Project, error) {
	model, err := project.Model.WithServicesEnabled(services...)
	if err == nil {
		model, err = model.WithSelectedServices(services)
	}
	if err != nil {
		return nil, err
	}
	if !all {
		model = model.WithoutUnnecessaryResources()
	}
	selected := *project
	selected.Model = model
	return &selected, nil
}

// Hash is the hash of a service's configuration as `docker compose config --hash` has it: what a change of scale, of the image's
// build or of what it waits for does not change.
func Hash(service types.ServiceConfig) (string, error) {
	service.Build = nil
	service.PullPolicy = ""
	service.Scale = nil
	if service.Deploy != nil {
		deploy := *service.Deploy
		deploy.Replicas = nil
		service.Deploy = &deploy
	}
	service.DependsOn = nil
	service.Profiles = nil
	text, err := json.Marshal(service)
	if err != nil {
		return "", fmt.Errorf("cannot hash service %q: %w", service.Name, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
