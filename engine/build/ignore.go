package build

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/buildah/define"
	"go.podman.io/buildah/pkg/parse"
	"go.podman.io/storage/pkg/fileutils"
)

// ignore tells buildah what the .dockerignore leaves out of the context: that of the Dockerfile as the user knows it.
func (o *order) ignore(options *define.BuildOptions) error {
	root, err := filepath.EvalSymlinks(o.context)
	if err != nil {
		return err
	}
	excludes, file, err := parse.ContainerIgnoreFile(root, "", []string{o.file.path})
	if err != nil {
		return err
	}
	options.IgnoreFile = file
	options.Excludes, err = entered(root, excludes)
	return err
}

// nowhere is the name of no file.
const nowhere = "\x00"

// entered are patterns by which buildah copies what docker does. It looks into a folder that is left out only where a pattern that
// takes something back begins with the folder's name (buildah 1.45: copier.go, includeDirectoryAnyway), and so never finds
// what "!**/*.md" means: such folders are named here, each by a pattern that takes nothing back.
func entered(root string, excludes []string) ([]string, error) {
	if !slices.ContainsFunc(excludes, func(p string) bool { return strings.HasPrefix(p, "!") && strings.ContainsAny(p, `*?[\`) }) {
		return excludes, nil
	}
	matcher, err := fileutils.NewPatternMatcher(excludes)
	if err != nil {
		return nil, err
	}
	out, found := map[string]bool{}, map[string]bool{}
	err = filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		rel := below(root, at)
		if err != nil || rel == "." {
			return nil //nolint:nilerr // what cannot be read is reported where it is copied
		}
		excluded, err := matcher.Matches(filepath.ToSlash(rel)) //nolint:staticcheck // what buildah's copier asks
		if err != nil {
			return err
		}
		out[rel] = excluded && entry.IsDir()
		// A name that is a pattern itself would not be taken by its letters.
		if dir := filepath.Dir(rel); !excluded && out[dir] && !strings.ContainsAny(dir, `*?[\`) {
			found["!"+dir+"/"+nowhere] = true
		}
		return nil
	})
	return append(slices.Clone(excludes), sorted(found)...), err
}
