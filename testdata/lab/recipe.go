package main

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

//go:embed all:recipe
var recipes embed.FS

// recipe says how an image is made: a folder of recipe/ with image.json and, where it is more than the base, install.sh.
type recipe struct {
	// Dir is the folder's name.
	Dir string `json:"-"`
	// Names are full references; the first tells what the image is.
	Names []string
	// Root is the directory that becomes an image of one layer; "" makes the base and what install.sh wrote two layers.
	Root   string
	Config v1.Config
}

// readRecipes reads the embedded recipes, sorted by folder.
func readRecipes() ([]recipe, error) {
	files, err := fs.Glob(recipes, "recipe/*/image.json")
	if err != nil {
		return nil, err
	}
	var all []recipe
	for _, file := range files {
		content, err := recipes.ReadFile(file)
		if err != nil {
			return nil, err
		}
		r := recipe{Dir: path.Base(path.Dir(file))}
		if err := json.Unmarshal(content, &r); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", file, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// formatVersion changes when build.go makes other images from the same recipes.
const formatVersion = "1"

// recipeHash names the images: everything that goes into them but Debian's archive itself.
func recipeHash() (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, formatVersion, runtime.GOARCH)
	err := fs.WalkDir(recipes, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := recipes.ReadFile(name)
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))[:16], err
}

// writeRecipes puts the recipes under dir, for the shell scripts among them to run.
func writeRecipes(dir string) error {
	return fs.WalkDir(recipes, "recipe", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, name)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		content, err := recipes.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
}
