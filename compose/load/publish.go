package load

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
)

// PublishedKind is what a published file is to its project.
type PublishedKind string

const (
	// MainFile is one of the files of the project, ExtendedFile one that a service extends, EnvFile one of variables.
	MainFile     PublishedKind = "main"
	ExtendedFile PublishedKind = "extended"
	EnvFile      PublishedKind = "env"
)

// PublishedFile is a file of a project as it is published. The files that it names are called as those are published.
type PublishedFile struct {
	Name    string
	Kind    PublishedKind
	Content []byte
}

// Publish gives the files of a project, to be read on other machines: as they are written, but for the paths of env files and
// extended files. Included files of this machine are compose.Problems: they would not be found there.
func Publish(ctx context.Context, opts Options) ([]PublishedFile, error) {
	l := newLoading(opts)
	documents, err := l.walkFiles(ctx)
	if err == nil {
		err = l.failure()
	}
	if err != nil {
		return nil, err
	}
	p := publication{loading: l, documents: documents, seen: map[string]bool{}, renamed: map[*yaml.Node]bool{}}
	for _, doc := range l.mains {
		name := filepath.Base(doc.file)
		if doc.file == "-" {
			name = defaultFiles()[0]
		}
		if err := p.add(doc, name, MainFile); err != nil {
			return nil, err
		}
	}
	if err := l.failure(); err != nil {
		return nil, err
	}
	return append(p.files, p.envFiles...), nil
}

// publication is one Publish on its way.
type publication struct {
	*loading
	documents map[string]*document
	// seen are the files that are taken care of, renamed the nodes: an alias leads to one of them again.
	seen            map[string]bool
	renamed         map[*yaml.Node]bool
	files, envFiles []PublishedFile
}

// add adds a file, and those that it names after it.
func (p *publication) add(doc *document, name string, kind PublishedKind) error {
	content, extended, err := p.rewrite(doc)
	if err != nil {
		return fmt.Errorf("cannot publish %q: %w", p.short(doc.file), err)
	}
	p.files = append(p.files, PublishedFile{name, kind, content})
	for _, path := range extended {
		if base := p.documents[path]; base != nil && !p.seen[path] {
			p.seen[path] = true
			if err := p.add(base, foreignName(path, ".yaml"), ExtendedFile); err != nil {
				return err
			}
		}
	}
	return nil
}

// rewrite is a file's content with the names that its env files and the files it extends are published by, and the paths of the latter.
// Only a file that names any is written anew.
func (p *publication) rewrite(doc *document) (content []byte, extended []string, err error) {
	changed := false
	rename := func(n *yaml.Node, name string) {
		n.Value, n.Style, changed, p.renamed[n] = name, 0, true, true
	}
	for _, root := range doc.roots {
		p.includes(doc, root)
		for _, e := range mapping(child(root, "services")) {
			for _, n := range append([]*yaml.Node{deref(e.value)}, list(child(e.value, "pre_start"))...) {
				if err := p.renameEnvFiles(doc, deref(n), rename); err != nil {
					return nil, nil, err
				}
			}
			file := child(e.value, "extends", "file")
			if file == nil || p.renamed[file] || p.remotes.accepts(p.value(file)) {
				continue
			}
			path := abs(doc.dir, p.value(file))
			extended = append(extended, path)
			rename(file, foreignName(path, ".yaml"))
		}
	}
	if !changed {
		return doc.content, extended, nil
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	for _, root := range doc.roots {
		if err := encoder.Encode(root); err != nil {
			return nil, nil, err
		}
	}
	return out.Bytes(), extended, encoder.Close()
}

// includes records included files of this machine as problems.
func (p *publication) includes(doc *document, root *yaml.Node) {
	for i, n := range list(child(root, "include")) {
		n = deref(n)
		paths := list(n)
		if n.Kind == yaml.MappingNode {
			paths = append(list(child(n, "path")), list(child(n, "env_file"))...)
		}
		for _, path := range paths {
			if path = deref(path); !p.remotes.accepts(p.value(path)) {
				p.problem(position(doc, path), compose.Path("include", item(i)), "cannot publish compose file with local includes",
					"name the file with -f instead, or include a published project by oci://NAME")
			}
		}
	}
}

// renameEnvFiles gives the env files of a service other names, and adds them. One that is missing is left out: where it is required
// the project does not load.
func (p *publication) renameEnvFiles(doc *document, service *yaml.Node, rename func(*yaml.Node, string)) error {
	for _, n := range list(child(service, "env_file")) {
		if n = deref(n); n.Kind == yaml.MappingNode {
			n = child(n, "path")
		}
		if n == nil || n.Kind != yaml.ScalarNode || p.renamed[n] {
			continue
		}
		path := abs(doc.dir, p.value(n))
		name := foreignName(path, ".env")
		rename(n, name)
		if p.seen[path] {
			continue
		}
		p.seen[path] = true
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		p.envFiles = append(p.envFiles, PublishedFile{name, EnvFile, content})
	}
	return nil
}

// foreignName is a file's name in a published project, which has no folders, and says nothing of those here.
func foreignName(path, extension string) string {
	return fmt.Sprintf("%x%s", sha256.Sum256([]byte(path)), extension)
}
