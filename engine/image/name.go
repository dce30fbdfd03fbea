package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/shortnames"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/unshare"
)

// candidates are the full names that a reference may be pulled from, in the order to try them.
//
// A short name is resolved as registries.conf says: its alias, else each unqualified-search registry. With
// short-name-mode "enforcing" several candidates are refused instead of asked about: nobody may be there to answer.
// On a machine without any registries.conf a short name means Docker Hub, as docker has it.
func candidates(sys *types.SystemContext, ref string) ([]reference.Named, error) {
	if _, err := reference.ParseNormalizedNamed(ref); err != nil {
		return nil, fmt.Errorf("image reference %q is not valid: %w", ref, err)
	}
	mode, err := sysregistriesv2.GetShortNameMode(sys)
	if err != nil {
		return nil, fmt.Errorf("cannot read registries.conf: %w", err)
	}
	// The disabled mode is the one of containers/image that never asks on the terminal.
	quiet := *sys
	disabled := types.ShortNameModeDisabled
	quiet.ShortNameMode = &disabled
	if shortnames.IsShortName(ref) && !anySearchRegistry(sys) && !hasAlias(sys, ref) {
		if file, exists := registriesFile(); exists {
			return nil, fmt.Errorf("short name %q could come from any registry: write `unqualified-search-registries = [\"docker.io\"]` into %s, or write the name in full (docker.io/...)", ref, file)
		}
		return []reference.Named{hub(ref)}, nil
	}
	resolved, err := shortnames.Resolve(&quiet, ref)
	if err != nil {
		return nil, fmt.Errorf("cannot resolve image name %q: %w", ref, err)
	}
	var named []reference.Named
	var names []string
	for _, c := range resolved.PullCandidates {
		named = append(named, c.Value)
		names = append(names, c.Value.String())
	}
	if len(named) > 1 && mode == types.ShortNameModeEnforcing {
		return nil, fmt.Errorf("short name %q could be any of %s, and registries.conf says short-name-mode = \"enforcing\": write the name in full", ref, strings.Join(names, ", "))
	}
	return named, nil
}

// localNames are the names an image of that reference may have in the store, most specific first. Docker Hub's comes
// last, whatever registries.conf says: archives of docker load under it.
func localNames(sys *types.SystemContext, ref string) ([]reference.Named, error) {
	local, err := shortnames.ResolveLocally(sys, ref)
	if err != nil {
		return nil, err
	}
	if name := hub(ref); name != nil && shortnames.IsShortName(ref) {
		local = append(local, name)
	}
	return local, nil
}

// hub is a reference as Docker Hub has it: nginx is docker.io/library/nginx:latest. It is nil for what is no name.
func hub(ref string) reference.Named {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil
	}
	return reference.TagNameOnly(named)
}

func anySearchRegistry(sys *types.SystemContext) bool {
	registries, err := sysregistriesv2.UnqualifiedSearchRegistries(sys)
	// An unreadable file is reported by whoever resolves with it next.
	return err != nil || len(registries) > 0
}

func hasAlias(sys *types.SystemContext, ref string) bool {
	named, err := reference.Parse(ref)
	if err != nil {
		return false
	}
	short, ok := named.(reference.Named)
	if !ok {
		return false
	}
	alias, _, err := sysregistriesv2.ResolveShortNameAlias(sys, reference.TrimNamed(short).String())
	return err != nil || alias != nil
}

// registriesFile is the registries.conf that is read, else the one to write, and whether any (or a drop-in) exists.
func registriesFile() (path string, exists bool) {
	paths, err := configfile.GetSearchPaths(&configfile.File{
		Name:            "registries",
		Extension:       "conf",
		EnvironmentName: "CONTAINERS_REGISTRIES_CONF",
		UserId:          unshare.GetRootlessUID(),
	})
	if err != nil {
		return "/etc/containers/registries.conf", false
	}
	write := "/etc/containers/registries.conf"
	if unshare.GetRootlessUID() != 0 && len(paths.MainFiles) > 0 {
		write = paths.MainFiles[0]
	}
	for _, file := range paths.MainFiles {
		if _, err := os.Stat(file); err != nil {
			continue
		}
		// A package's file is not for editing; the administrator's takes its place.
		if !strings.HasPrefix(file, "/usr/") {
			write = file
		}
		return write, true
	}
	for _, dir := range paths.DropInDirectories {
		if found, _ := filepath.Glob(filepath.Join(dir, "*.conf")); len(found) > 0 {
			return write, true
		}
	}
	return write, paths.ExtraOverrideFile != ""
}
