package load

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
)

// files finds env and label files of a service that cannot be read.
func (in *inspector) files(s types.ServiceConfig) {
	check := func(key string, i int, path string) {
		if err := readable(path); err != nil {
			place := fmt.Sprintf("services.%s.%s", s.Name, key)
			at := place
			if indexed := fmt.Sprintf("%s[%d]", place, i); in.places.Has(indexed) {
				at = indexed
			}
			in.problem(in.places.At(at), place, fmt.Sprintf("cannot read %q: %s", in.short(path), plain(err)), "")
		}
	}
	for i, f := range s.EnvFiles {
		if bool(f.Required) || isFile(f.Path) {
			check("env_file", i, f.Path)
		}
	}
	for i, f := range s.LabelFiles {
		check("label_file", i, f)
	}
}

// readable opens a file as a test; nil means that it can be read.
func readable(path string) error {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		_, err = f.Read(make([]byte, 1))
	}
	var perr *os.PathError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &perr):
		return perr.Err
	}
	return err
}

// objects checks the secrets and configs that enabled services use, and takes the digests of their content.
func (in *inspector) objects(model *types.Project) {
	secrets, configs := map[string]bool{}, map[string]bool{}
	for _, s := range model.Services {
		for _, c := range specsOf(s) {
			for _, r := range c.Secrets {
				secrets[r.Source] = true
			}
			for _, r := range c.Configs {
				configs[r.Source] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if s, ok := model.Secrets[name]; ok {
			// compose-go puts the variable's value into Content; a secret has no content of its own in a file.
			s.Content = ""
			in.object(types.FileObjectConfig(s), compose.SecretKey(name), "secret")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		if c, ok := model.Configs[name]; ok {
			if c.Environment != "" {
				c.Content = ""
			}
			in.object(types.FileObjectConfig(c), compose.ConfigKey(name), "config")
		}
	}
	in.volumes(model)
}

// volumes checks the volumes that enabled services mount.
func (in *inspector) volumes(model *types.Project) {
	used := map[string]bool{}
	for _, s := range model.Services {
		for _, c := range specsOf(s) {
			for _, v := range c.Volumes {
				used[v.Source] = used[v.Source] || v.Type == types.VolumeTypeVolume
			}
		}
	}
	for name, v := range model.Volumes {
		path := "volumes." + name
		if used[name] && !bool(v.External) {
			in.driver(path, v)
		}
		if bool(v.External) && (v.Driver != "" || len(v.DriverOpts) > 0 || len(v.Labels) > 0) {
			in.at(path, "an external volume is made elsewhere: driver, driver_opts and labels cannot be said here", "remove them, or external")
		}
	}
}

// object checks that a secret or config has one source and that it can be read.
func (in *inspector) object(o types.FileObjectConfig, key, kind string) {
	sources := 0
	for _, s := range []string{o.File, o.Environment, o.Content} {
		if s != "" {
			sources++
		}
	}
	written := in.places.Has(key+".content") || in.places.Has(key+".file") || in.places.Has(key+".environment")
	switch {
	case bool(o.External) && sources > 0:
		in.at(key, fmt.Sprintf("an external %s is made elsewhere: file, environment and content cannot be said here", kind), "remove them, or external")
	case bool(o.External): // podman's store has it, or engine.Observe does not find it
	case o.Driver != "" || o.TemplateDriver != "":
		in.at(key, fmt.Sprintf("drivers of %ss are not supported", kind), "use file: or environment:")
	case sources > 1:
		in.at(key, "file, environment and content exclude each other", "keep one of them")
	case sources == 0 && !written && !in.lost(key, "file", "environment", "content"):
		in.at(key, fmt.Sprintf("the %s has no source", kind), "add file: or environment:")
	case o.Environment != "":
		value, ok := in.env[o.Environment]
		if !ok {
			in.at(key+".environment", fmt.Sprintf("the variable %q is not set", o.Environment), "set it in the environment or in .env")
			return
		}
		in.digests[key] = digest([]byte(value))
	case o.File != "":
		content, err := os.ReadFile(o.File)
		if err != nil {
			in.at(key+".file", fmt.Sprintf("cannot read %q: %s", in.short(o.File), plain(errors.Unwrap(err))), "")
			return
		}
		in.digests[key] = digest(content)
	default:
		in.digests[key] = digest([]byte(o.Content))
	}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
