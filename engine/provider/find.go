// Package provider runs the external programs that provide services, by the protocol of docker compose: a command line in,
// JSON messages out (https://github.com/docker/compose/blob/main/docs/extension.md).
package provider

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// prefix of the names of docker's plugins.
const prefix = "docker-"

// Finder finds programs as docker compose does.
type Finder struct {
	// Lookup finds variables of the caller's environment: PATH, HOME, DOCKER_CONFIG.
	Lookup func(name string) (string, bool)
}

// Find is the path of the program for a type of provider: docker's plugin of that name, else an executable of that name in
// PATH, or, where the type has a slash, below dir. Where there is none, path is "" and the search says where it was.
func (f Finder) Find(kind, dir string) (path string, failed pod.Search) {
	if strings.Contains(kind, "/") {
		path = kind
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if executable(path) {
			return path, pod.Search{}
		}
		return "", pod.Search{Where: path + " is no executable file"}
	}
	plugins := f.plugins()
	for _, d := range plugins {
		if path := filepath.Join(d, prefix+kind); executable(path) {
			return path, pod.Search{}
		}
	}
	paths := f.paths()
	for _, d := range paths {
		if path := filepath.Join(d, kind); executable(path) {
			return path, pod.Search{}
		}
	}
	where := "no " + prefix + kind + " in " + strings.Join(plugins, ", ") + ", no " + kind + " in PATH (" + strings.Join(paths, ", ") + ")"
	return "", pod.Search{Where: where, Known: known(plugins, paths)}
}

// plugins are the folders of docker's plugins, in the order docker looks through them.
func (f Finder) plugins() []string {
	config, _ := f.Lookup("DOCKER_CONFIG")
	if home, _ := f.Lookup("HOME"); config == "" && home != "" {
		config = filepath.Join(home, ".docker")
	}
	var dirs []string
	if config != "" {
		var file struct {
			CLIPluginsExtraDirs []string `json:"cliPluginsExtraDirs"`
		}
		// Without the file, or where it is damaged, there are no extra folders: docker says so, who owns it.
		if b, err := os.ReadFile(filepath.Join(config, "config.json")); err == nil && json.Unmarshal(b, &file) == nil {
			dirs = append(dirs, file.CLIPluginsExtraDirs...)
		}
		dirs = append(dirs, filepath.Join(config, "cli-plugins"))
	}
	return append(dirs, "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
		"/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins")
}

// paths are the absolute folders of PATH; others would find another program in each folder.
func (f Finder) paths() []string {
	path, _ := f.Lookup("PATH")
	return slices.DeleteFunc(filepath.SplitList(path), func(d string) bool { return !filepath.IsAbs(d) })
}

// known are the types that programs are there for, sorted.
func known(plugins, paths []string) []string {
	var names []string
	for _, d := range slices.Concat(plugins, paths) {
		entries, _ := os.ReadDir(d) // a folder that is not there has none
		for _, e := range entries {
			name, plugin := strings.CutPrefix(e.Name(), prefix)
			if plugin == slices.Contains(plugins, d) && executable(filepath.Join(d, e.Name())) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// executable says whether a path is a file somebody may run.
func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
