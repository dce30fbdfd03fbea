package load

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
)

// Remote fetches Compose files from elsewhere, by references that are no paths, such as URLs of git repositories.
type Remote interface {
	// Accepts says by the text alone whether a reference is of its kind.
	Accepts(reference string) bool
	// Fetch brings what a reference names, and gives the Compose file in it and the folder of all that came with it, both
	// absolute. The error is the cause alone: whoever asks knows where the reference stands.
	Fetch(ctx context.Context, reference string) (file, root string, err error)
}

// fetched is the local copy of what a reference names, or why there is none.
type fetched struct {
	file, root string
	err        error
}

// remotes resolve references, each once: all stages of loading have to see the same copy.
type remotes struct {
	kinds  []Remote
	copies map[string]fetched
	// used are the references in the order they were met.
	used []compose.RemoteFile
}

func (r *remotes) accepts(reference string) bool {
	return r.kind(reference) != nil
}

func (r *remotes) kind(reference string) Remote {
	for _, k := range r.kinds {
		if k.Accepts(reference) {
			return k
		}
	}
	return nil
}

// fetch gives the copy of what a reference names. main says that it is no file of another's include or extends.
func (r *remotes) fetch(ctx context.Context, reference string, main bool) (fetched, error) {
	if copied, ok := r.copies[reference]; ok {
		return copied, copied.err
	}
	file, root, err := r.kind(reference).Fetch(ctx, reference)
	if err == nil && !inside(file, []string{root}) {
		err = errors.New("its Compose file is a link that leads out of it")
	}
	r.copies[reference] = fetched{file, root, err}
	if err == nil {
		r.used = append(r.used, compose.RemoteFile{Reference: reference, File: file, Main: main})
	}
	return r.copies[reference], err
}

// resource is remotes as compose-go asks for them.
type resource struct{ *remotes }

func (r resource) Accept(reference string) bool { return r.accepts(reference) }

// Load fetches nothing that our own walk over the files, which knows where to stop, has not.
func (r resource) Load(_ context.Context, reference string) (string, error) {
	copied, ok := r.copies[reference]
	if !ok {
		return "", fmt.Errorf("%s was not fetched", compose.Redact(reference))
	}
	return copied.file, copied.err
}

// Dir is asked for references, and for paths that Load gave.
func (r resource) Dir(reference string) string {
	if copied, ok := r.copies[reference]; ok {
		return filepath.Dir(copied.file)
	}
	return filepath.Dir(reference)
}

// inside says whether a file is in one of the folders, with all symbolic links followed. A file that there is not is judged
// by its name.
func inside(file string, folders []string) bool {
	real := func(path string) string {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			return resolved
		}
		return filepath.Clean(path)
	}
	// Of a name that does not exist as a whole the folder may, and be a link.
	at := real(filepath.Join(real(filepath.Dir(file)), filepath.Base(file)))
	for _, folder := range folders {
		rel, err := filepath.Rel(real(folder), at)
		if err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}

// source is the file that a reference in doc means, and the folders that file's own references may lead to, nil for any.
// ok is false with a problem recorded.
func (w *walk) source(doc *document, text string, reference compose.Problem) (file string, within []string, ok bool) {
	if !w.remotes.accepts(text) {
		file = abs(doc.dir, text)
		return file, doc.within, w.confined(doc, file, reference)
	}
	copied, err := w.fetch(text)
	if err != nil {
		reference.Message = fmt.Sprintf("cannot fetch %s: %s", compose.Redact(text), err)
		w.problems = append(w.problems, reference)
		return "", nil, false
	}
	return copied.file, []string{copied.root}, true
}

// confined refuses a file that a remote file names and that did not come with it: whoever wrote that one is not to choose
// which of the user's files are read, into a container's environment for instance.
func (w *walk) confined(doc *document, file string, reference compose.Problem) bool {
	if doc.within == nil || inside(file, doc.within) {
		return true
	}
	reference.Message = fmt.Sprintf("a file from elsewhere may not name %q, which did not come with it", w.short(file))
	reference.Hint = "name it in a file of your own, given by a second -f"
	w.problems = append(w.problems, reference)
	return false
}

// confine checks the paths in a remote file that would be read here: env files, label files, content of secrets and configs.
func (w *walk) confine(doc *document, root *yaml.Node) {
	if doc.within == nil {
		return
	}
	for _, kind := range []string{"secrets", "configs"} {
		for _, e := range mapping(child(root, kind)) {
			w.confineNode(doc, child(e.value, "file"), []string{kind, e.key.Value, "file"})
		}
	}
	for _, e := range mapping(child(root, "services")) {
		w.confineService(doc, e.value, []string{"services", e.key.Value})
	}
}

// confineService is confine for a service, or a pre_start hook, which has files as a service has.
func (w *walk) confineService(doc *document, n *yaml.Node, keys []string) {
	if doc.within == nil {
		return
	}
	for _, key := range []string{"env_file", "label_file"} {
		files := child(n, key)
		for i, f := range list(files) {
			at := step(keys, key)
			if files.Kind == yaml.SequenceNode {
				at = step(at, item(i))
			}
			if f = deref(f); f.Kind == yaml.MappingNode {
				f = child(f, "path")
			}
			w.confineNode(doc, f, at)
		}
	}
	for i, hook := range list(child(n, "pre_start")) {
		w.confineService(doc, deref(hook), step(step(keys, "pre_start"), item(i)))
	}
}

// confineNode checks one path; nil is none.
func (w *walk) confineNode(doc *document, n *yaml.Node, keys []string) {
	if n == nil || n.Kind != yaml.ScalarNode || w.bad[n] {
		return
	}
	path := w.value(n)
	file := abs(doc.dir, path)
	if strings.HasPrefix(path, "~") { // compose-go makes it the caller's home
		file = path
	}
	w.confined(doc, file, compose.Problem{At: position(doc, n), Path: compose.Path(keys...)})
}

// mapping are the entries of a node that may be nil, or no mapping.
func mapping(n *yaml.Node) []entry {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	return entries(n)
}
