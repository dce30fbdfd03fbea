package cli

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/DefangLabs/secret-detector/pkg/scanner"
	"github.com/DefangLabs/secret-detector/pkg/secrets"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
)

// bindMounts are lines that name the folders of this machine that services mount.
func bindMounts(model *types.Project) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(model.Services)) {
		for _, v := range model.Services[name].Volumes {
			if v.Type == types.VolumeTypeBind {
				lines = append(lines, fmt.Sprintf("%s %s\n", name, v.String()))
			}
		}
	}
	return lines
}

// leftBehind are warnings of files that services need and that are not published.
func leftBehind(project *compose.Project) []string {
	var lines []string
	line := func(path, file string) {
		lines = append(lines, project.Problem(path, "%q is not published: whoever takes the project needs a file of that name", file).Error())
	}
	model := project.Model
	for _, name := range slices.Sorted(maps.Keys(model.Secrets)) {
		if file := model.Secrets[name].File; file != "" {
			line(compose.SecretKey(name)+".file", file)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(model.Configs)) {
		if file := model.Configs[name].File; file != "" {
			line(compose.ConfigKey(name)+".file", file)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(model.Services)) {
		for _, file := range model.Services[name].LabelFiles {
			line("services."+name+".label_file", file)
		}
	}
	return lines
}

// environments are lines that say who has variables, and lines with the variables.
func environments(model *types.Project) (named, variables []string) {
	for _, name := range slices.Sorted(maps.Keys(model.Services)) {
		s := model.Services[name]
		if len(s.EnvFiles) > 0 {
			named = append(named, fmt.Sprintf("service %q has env_file declared.\n", name))
		}
		if len(s.Environment) == 0 {
			continue
		}
		named = append(named, fmt.Sprintf("service %q has environment variable(s) declared.\n", name))
		variables = append(variables, fmt.Sprintf("Service/Config  %s\n", name))
		for _, key := range slices.Sorted(maps.Keys(s.Environment)) {
			if value := s.Environment[key]; value != nil {
				variables = append(variables, fmt.Sprintf("%s=%s\n", key, *value))
			} else {
				variables = append(variables, key+"\n")
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(model.Configs)) {
		if c := model.Configs[name]; c.Environment != "" {
			named = append(named, fmt.Sprintf("config %q is declared as an environment variable.\n", name))
			variables = append(variables, fmt.Sprintf("Service/Config  %s\n%s\n", name, c.Environment))
		}
	}
	return named, variables
}

// sensitive are lines with what looks like passwords and keys, in what is published and in the files that its secrets and configs
// name, which are not.
func sensitive(model *types.Project, files []load.PublishedFile) ([]string, error) {
	scan := scanner.NewDefaultScanner()
	var found []secrets.DetectedSecret
	for _, f := range files {
		these, err := scan.ScanReader(bytes.NewReader(f.Content))
		if err != nil {
			return nil, fmt.Errorf("cannot look for sensitive data in %q: %w", f.Name, err)
		}
		found = append(found, these...)
	}
	var paths []string
	for _, c := range model.Configs {
		paths = append(paths, c.File)
	}
	for _, s := range model.Secrets {
		paths = append(paths, s.File)
	}
	for _, path := range slices.Compact(slices.Sorted(slices.Values(paths))) {
		if path == "" {
			continue
		}
		these, err := scan.ScanFile(path)
		var binary *secrets.NotTextFileError
		if errors.As(err, &binary) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot look for sensitive data in %q: %w", path, err)
		}
		found = append(found, these...)
	}
	var lines []string
	for _, s := range found {
		if line := fmt.Sprintf("%s\n%q: %s\n", s.Type, s.Key, s.Value); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines, nil
}
