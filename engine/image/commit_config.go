package image

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/mattn/go-shellwords"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/pcompose/pcompose/pod"
	"go.podman.io/common/libimage"
)

// composeLabels begin the labels by which docker compose knows its containers. They are of the container, and would make
// all that is run from the image one of the project's.
const composeLabels = "com.docker.compose."

// parseChanges reads instructions as in a Containerfile.
func parseChanges(changes []string) (*libimage.ImageConfig, error) {
	var single []string
	for _, change := range changes {
		all, err := apart(change)
		if err != nil {
			return nil, fmt.Errorf("change %q: %w", change, err)
		}
		single = append(single, all...)
	}
	return libimage.ImageConfigFromChanges(single)
}

// apart makes an instruction for each of several values in one, ENV A=1 B="2 3", which libimage takes for one value.
func apart(change string) ([]string, error) {
	key, value, _ := strings.Cut(strings.TrimSpace(change), " ")
	key = strings.ToUpper(key)
	if key != "ENV" && key != "LABEL" && key != "EXPOSE" {
		return []string{change}, nil
	}
	words, err := shellwords.Parse(value)
	if err != nil {
		return nil, err
	}
	var all []string
	for i, word := range words {
		switch pair := key == "EXPOSE" || strings.Contains(word, "="); {
		case !pair && i == 0 && len(words) > 1: // the old form, ENV NAME VALUE
			name, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
			return []string{key + " " + name + "=" + strings.TrimSpace(rest)}, nil
		case !pair:
			return nil, fmt.Errorf("%q is not NAME=VALUE", word)
		}
		all = append(all, key+" "+word)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s requires at least one argument", key)
	}
	return all, nil
}

// imageConfig is the part of an image's configuration that commit changes: OCI's, and what docker has beyond.
type imageConfig struct {
	v1.ImageConfig
	OnBuild []string
	// Healthcheck has docker's fields, durations in nanoseconds.
	Healthcheck *pod.Health
}

// committed is the new image's configuration: the old one's, fields that we do not know included, with what the container
// was made with over it and the changes over that, as docker has it.
func committed(blob []byte, c Commit, layer digest.Digest, change *libimage.ImageConfig) ([]byte, error) {
	var all, fields map[string]json.RawMessage
	var image v1.Image
	var config imageConfig
	err := errors.Join(json.Unmarshal(blob, &all), json.Unmarshal(blob, &image))
	if err == nil && all["config"] != nil {
		err = errors.Join(json.Unmarshal(all["config"], &fields), json.Unmarshal(all["config"], &config))
	}
	if err != nil {
		return nil, err
	}
	if fields == nil {
		fields = map[string]json.RawMessage{}
	}
	config.overlay(c.Container)
	config.change(change)
	image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, layer)
	image.History = append(image.History, v1.History{Created: &c.At, CreatedBy: c.CreatedBy, Author: c.Author, Comment: c.Comment})
	set := func(to map[string]json.RawMessage, key string, value any) {
		b, jsonErr := json.Marshal(value)
		err = errors.Join(err, jsonErr)
		to[key] = b
	}
	for key, value := range map[string]any{
		"User": config.User, "WorkingDir": config.WorkingDir, "StopSignal": config.StopSignal, "Entrypoint": config.Entrypoint, "Cmd": config.Cmd,
		"Env": config.Env, "Labels": config.Labels, "ExposedPorts": config.ExposedPorts, "Volumes": config.Volumes,
		"OnBuild": config.OnBuild, "Healthcheck": config.Healthcheck,
	} {
		set(fields, key, value)
		if text := string(fields[key]); text == "null" || text == "[]" || text == `""` {
			delete(fields, key)
		}
	}
	set(all, "config", fields)
	set(all, "rootfs", image.RootFS)
	set(all, "history", image.History)
	set(all, "created", c.At)
	set(all, "author", c.Author)
	if err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// overlay puts what a container was made with over what its image says.
func (i *imageConfig) overlay(c pod.Container) {
	if c.Entrypoint != nil {
		i.Entrypoint, i.Cmd = c.Entrypoint, nil
	}
	if c.Command != nil {
		i.Cmd = c.Command
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		i.Env = withVariable(i.Env, name+"="+c.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		if !strings.HasPrefix(name, composeLabels) {
			put(&i.Labels, name, c.Labels[name])
		}
	}
	for _, l := range c.Listens {
		put(&i.ExposedPorts, fmt.Sprintf("%d/%s", l.Port, l.Protocol), struct{}{})
	}
	i.User = cmp.Or(c.User, i.User)
	i.WorkingDir = cmp.Or(c.WorkingDir, i.WorkingDir)
	i.StopSignal = cmp.Or(c.Stop.Signal, i.StopSignal)
	if c.Health != nil && len(c.Health.Test) > 0 {
		i.Healthcheck = c.Health
	}
}

// change carries out instructions. An entrypoint drops the command, which was for the one before; a cleared one does not.
func (i *imageConfig) change(to *libimage.ImageConfig) {
	if to.Entrypoint != nil {
		i.Entrypoint = to.Entrypoint
		if len(to.Entrypoint) > 0 {
			i.Cmd = nil
		}
	}
	if to.Cmd != nil {
		i.Cmd = to.Cmd
	}
	for _, pair := range to.Env {
		i.Env = withVariable(i.Env, pair)
	}
	for name, value := range to.Labels {
		put(&i.Labels, name, value)
	}
	for port := range to.ExposedPorts {
		put(&i.ExposedPorts, port, struct{}{})
	}
	for volume := range to.Volumes {
		put(&i.Volumes, volume, struct{}{})
	}
	i.User = cmp.Or(to.User, i.User)
	i.StopSignal = cmp.Or(to.StopSignal, i.StopSignal)
	if dir := to.WorkingDir; path.IsAbs(dir) {
		i.WorkingDir = dir
	} else if dir != "" {
		i.WorkingDir = path.Join("/", i.WorkingDir, dir)
	}
	i.OnBuild = append(i.OnBuild, to.OnBuild...)
}

func put[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = value
}

// withVariable is an environment with one variable replaced or added.
func withVariable(env []string, pair string) []string {
	name, _, _ := strings.Cut(pair, "=")
	i := slices.IndexFunc(env, func(other string) bool { return strings.HasPrefix(other, name+"=") })
	if i < 0 {
		return append(env, pair)
	}
	env[i] = pair
	return env
}
