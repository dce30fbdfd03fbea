package build

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// dockerfile is a Dockerfile that was read.
type dockerfile struct {
	// path is where it is, name how the user knows it.
	path, name string
	// stages have the instructions of each, FROM first; ahead are those before the first FROM.
	stages [][]*parser.Node
	ahead  []*parser.Node
	text   []byte
}

// readDockerfile reads the build's Dockerfile, and refuses what is none.
func (o *order) readDockerfile() (*dockerfile, error) {
	f, err := o.findDockerfile()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no Dockerfile %q", f.name)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the Dockerfile: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fmt.Errorf("%s: the Dockerfile is empty", f.name)
	}
	f.text = text
	return f, f.parse(text)
}

// findDockerfile says where the build's Dockerfile is; an inline one it writes.
func (o *order) findDockerfile() (*dockerfile, error) {
	if o.build.Inline != "" {
		f := &dockerfile{path: filepath.Join(o.dir, "Dockerfile"), name: "dockerfile_inline"}
		return f, os.WriteFile(f.path, []byte(o.build.Inline), 0o600)
	}
	name := cmp.Or(o.build.Dockerfile, "Dockerfile")
	if name == "Dockerfile" {
		if _, err := os.Stat(filepath.Join(o.context, name)); errors.Is(err, fs.ErrNotExist) {
			// buildah's and podman's name for it.
			if _, err := os.Stat(filepath.Join(o.context, "Containerfile")); err == nil {
				name = "Containerfile"
			}
		}
	}
	f := &dockerfile{path: name, name: name}
	if !filepath.IsAbs(name) {
		f.path = filepath.Join(o.context, name)
		if !o.remote {
			f.name = f.path
		}
	}
	if below, ok := strings.CutPrefix(f.name, o.cfg.Dir+"/"); ok && o.cfg.Dir != "" {
		f.name = below
	}
	if o.remote {
		return f, inside(o.context, f.path, name)
	}
	return f, nil
}

// inside refuses a path that leads out of a folder, links followed: who wrote the folder must not read the machine's files.
func inside(dir, path, name string) error {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %q in it", name)
	}
	if err != nil {
		return err
	}
	if real != root && !strings.HasPrefix(real, root+"/") {
		return fmt.Errorf("%q leads out of the context", name)
	}
	return nil
}

// parse reads the instructions. buildah would say of an unknown one that it failed, and not where.
func (f *dockerfile) parse(text []byte) error {
	result, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %s", f.name, strings.TrimPrefix(err.Error(), "file with no instructions"))
	}
	var errs []error
	for _, n := range result.AST.Children {
		word := strings.ToLower(n.Value)
		if _, known := command.Commands[word]; !known {
			errs = append(errs, f.at(n, fmt.Errorf("unknown instruction%s", meant(word))))
			continue
		}
		switch {
		case word == command.From:
			f.stages = append(f.stages, []*parser.Node{n})
		case len(f.stages) > 0:
			last := len(f.stages) - 1
			f.stages[last] = append(f.stages[last], n)
		case word == command.Arg:
			f.ahead = append(f.ahead, n)
		default:
			errs = append(errs, f.at(n, errors.New("no FROM before it")))
		}
	}
	if len(errs) == 0 && len(f.stages) == 0 {
		return fmt.Errorf("%s: the Dockerfile has no FROM", f.name)
	}
	return errors.Join(errs...)
}

// at is an error about an instruction.
func (f *dockerfile) at(n *parser.Node, err error) error {
	return &StepError{File: f.name, Line: n.StartLine, Text: firstLine(n.Original), Err: err}
}

// meant is the instruction that a word is most like.
func meant(word string) string {
	for _, c := range sorted(command.Commands) {
		if len(word) > 2 && (strings.HasPrefix(c, word[:len(word)-1]) || strings.HasPrefix(word, c[:len(c)-1])) {
			return fmt.Sprintf(": did you mean %s?", strings.ToUpper(c))
		}
	}
	return ""
}

// has says whether a stage of that name is there, and how FROM writes it: case does not count.
func (f *dockerfile) has(target string) (name string, ok bool) {
	i := slices.IndexFunc(f.stages, func(s []*parser.Node) bool { return strings.EqualFold(stageName(s), target) })
	if i < 0 {
		return target, false
	}
	return stageName(f.stages[i]), true
}

// stageName is the name that FROM gives a stage; "" for none.
func stageName(stage []*parser.Node) string {
	image := stage[0].Next
	if image == nil || image.Next == nil || !strings.EqualFold(image.Next.Value, "as") || image.Next.Next == nil {
		return ""
	}
	return image.Next.Next.Value
}

// firstLine of an instruction, as messages show it.
func firstLine(text string) string {
	line, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	if more {
		line = strings.TrimSuffix(strings.TrimSpace(line), "\\") + " …"
	}
	return line
}
