package main

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
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
	// Dir is the folder's name, Hash that of what is in it.
	Dir  string `json:"-"`
	Hash string `json:"-"`
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
		if r.Hash, err = recipeHash(r.Dir); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// formatVersion changes when build.go makes other images from the same recipes.
const formatVersion = "3"

// authorities are the certificates that the machine trusts besides Debian's; base.sh puts them into the base.
const authorities = "/usr/local/share/ca-certificates/*.crt"

// baseHash names the base: everything that goes into it but Debian's archive itself.
func baseHash() (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, formatVersion, runtime.GOARCH)
	files, err := filepath.Glob(authorities)
	if err != nil {
		return "", err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", file, len(content), content)
	}
	if err := add(sum, "recipe/base.sh"); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// recipeHash names an image, by what goes into it beside the base.
func recipeHash(dir string) (string, error) {
	base, err := baseHash()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, base)
	for _, what := range []string{"recipe/enter.sh", "recipe/" + dir} {
		if err := add(sum, what); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// add adds a file of the recipes, or all of a folder, to a hash.
func add(sum io.Writer, name string) error {
	return fs.WalkDir(recipes, name, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := recipes.ReadFile(name)
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
		return err
	})
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
