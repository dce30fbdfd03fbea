package load

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
)

// Format is how Config prints a project.
type Format string

const (
	YAML Format = "yaml"
	JSON Format = "json"
)

// Config is the canonical model as `docker compose config` prints it: merged, interpolated, paths absolute, secrets' content never in it.
func Config(project *compose.Project, format Format) ([]byte, error) {
	var out []byte
	var err error
	switch format {
	case YAML, "":
		out, err = project.Model.MarshalYAML()
	case JSON:
		out, err = project.Model.MarshalJSON()
		out = append(out, '\n')
	default:
		return nil, fmt.Errorf("cannot print a project as %q: yaml and json are known", format)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot print project %q: %w", project.Name, err)
	}
	return out, nil
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
