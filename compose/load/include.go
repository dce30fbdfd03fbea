package load

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
)

// walk goes through the main files and all that they lead to.
type walk struct {
	*report
	*nodes
	reader reader
	// remotes knows which references are no paths, fetch brings what they name.
	remotes *remotes
	fetch   func(reference string) (fetched, error)
	schema  *schema
	places  *compose.Places
	// alone says that there is one main file, raw that variables stay as they are written.
	alone, raw bool
	// checked are the nodes that the schema was walked over, by what they were reached as.
	checked map[*yaml.Node]bool
}

// document checks a file and those it includes and extends, and records the places of its values.
// Included files come first, so that the places of the file that overrides them win.
func (w *walk) document(doc *document, includedBy []string) {
	for _, root := range doc.roots {
		if !w.checked[root] {
			w.checked[root] = true
			w.interpolate(doc, root, nil)
			c := w.checker(doc)
			c.whole = w.alone && includedBy == nil && child(root, "include") == nil
			c.check(root, w.schema, nil)
			if !w.raw {
				c.formats(child(root, "services"))
			}
			w.confine(doc, root)
		}
		w.places.Alias(position(doc, root), "")
		for i, n := range list(child(root, "include")) {
			w.include(doc, deref(n), step([]string{"include"}, item(i)), append(slices.Clip(includedBy), doc.file))
		}
		if services := child(root, "services"); services != nil && services.Kind == yaml.MappingNode {
			for _, e := range entries(services) {
				w.extend(doc, e.key.Value, deref(e.value), []string{e.key.Value})
			}
		}
		w.place(doc, root, nil)
		if child(root, "version") != nil {
			w.warn(w.places.At("version"), "version", "this key is obsolete and ignored", "remove it")
		}
	}
}

// list are the items of a sequence, or the one scalar that stands for it.
func list(n *yaml.Node) []*yaml.Node {
	switch {
	case n == nil || n.Kind == yaml.MappingNode:
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	}
	return []*yaml.Node{n}
}

// include follows one item of include:.
func (w *walk) include(doc *document, n *yaml.Node, keys, includedBy []string) {
	if w.bad[n] {
		return
	}
	paths, dir, env := list(n), "", doc.env
	if n.Kind == yaml.MappingNode {
		paths = list(child(n, "path"))
		if d := child(n, "project_directory"); d != nil {
			dir = abs(doc.dir, w.value(d))
		}
	}
	for i, p := range paths {
		p = deref(p)
		reference := compose.Problem{At: position(doc, p), Path: compose.Path(keys...)}
		file, within, ok := w.source(doc, w.value(p), reference)
		if !ok {
			return
		}
		if len(includedBy) > maxDepth { // a server could make up files without end
			reference.Message = fmt.Sprintf("files include each other deeper than %d levels", maxDepth)
			w.problems = append(w.problems, reference)
			return
		}
		if slices.Contains(includedBy, file) {
			reference.Message = "files include each other: " + w.chain(append(includedBy[slices.Index(includedBy, file):], file))
			w.problems = append(w.problems, reference)
			return
		}
		if within != nil && doc.within == nil && dir != "" {
			within = []string{within[0], dir} // the user's own file says that it may be there, too
		}
		if i == 0 {
			if dir == "" {
				dir = filepath.Dir(file)
			}
			env = w.includeEnv(doc, n, dir, within)
		}
		if included := w.reader.read(file, reference); included != nil {
			included.dir, included.env = dir, env
			if within != nil {
				included.within = within
			}
			doc.includes = append(doc.includes, included)
			w.document(included, includedBy)
		}
	}
}

// includeEnv is the environment of an included file: that of the including one, and below it env_file:, else .env in its directory,
// which has to be within the folders that the file is confined to.
func (w *walk) includeEnv(doc *document, n *yaml.Node, dir string, within []string) map[string]string {
	var files []string
	reference := compose.Problem{At: position(doc, n), Path: "include"}
	for _, f := range list(child(n, "env_file")) {
		path := abs(doc.dir, w.value(deref(f)))
		if path != "/dev/null" && w.confined(doc, path, compose.Problem{At: position(doc, deref(f)), Path: "include"}) {
			files = append(files, path)
		}
	}
	if path := filepath.Join(dir, ".env"); child(n, "env_file") == nil && isFile(path) && w.confined(&document{within: within}, path, reference) {
		files = []string{path}
	}
	env := maps.Clone(doc.env)
	merge(env, readEnv(doc.env, files, reference, w.report))
	return env
}

// chain prints files that lead to each other.
func (r *report) chain(files []string) string {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = r.short(f)
	}
	return strings.Join(names, " -> ")
}

// extend follows extends: of the service node n, and records the places of what it takes over as those of the service named target.
func (w *walk) extend(doc *document, target string, n *yaml.Node, through []string) {
	extends := child(n, "extends")
	if extends == nil || w.bad[extends] {
		return
	}
	keys := []string{"services", through[len(through)-1], "extends"}
	named, base := w.extended(doc, extends, keys)
	if named == nil {
		return
	}
	name := w.value(named)
	service, from := base.service(name)
	if service == nil {
		w.problem(position(doc, named), compose.Path(keys...), fmt.Sprintf("no service named %q in %s", name, w.short(base.file)),
			compose.DidYouMean(name, base.serviceNames()))
		return
	}
	if slices.Contains(through, name) && base == doc {
		// Every service of the cycle comes by here: the first by name tells.
		if cycle := through[slices.Index(through, name):]; name == target && slices.Min(cycle) == target {
			w.problem(position(doc, named), compose.Path(keys...), "services extend each other: "+strings.Join(append(cycle, name), " -> "), "")
		}
		return
	}
	if len(through) > maxDepth {
		w.problem(position(doc, named), compose.Path(keys...), "services extend each other across files", "")
		return
	}
	if base != doc && !w.checked[service] && !w.checked[base.roots[0]] {
		w.checked[service] = true
		at := []string{"services", name}
		w.interpolate(from, service, at)
		w.checker(from).check(service, w.schema.Properties["services"].PatternProperties[namePattern], at)
		w.confineService(from, service, at)
	}
	w.extend(from, target, service, append(slices.Clip(through), name))
	w.place(from, service, []string{"services", target})
}

// extended is where extends: names the service taken over, and the document that has it; nil where that cannot be told.
func (w *walk) extended(doc *document, extends *yaml.Node, keys []string) (named *yaml.Node, base *document) {
	if extends.Kind != yaml.MappingNode {
		return extends, doc
	}
	named, file := child(extends, "service"), child(extends, "file")
	if named == nil || file == nil {
		return named, doc
	}
	reference := compose.Problem{At: position(doc, file), Path: compose.Path(append(keys, "file")...)}
	path, within, ok := w.source(doc, w.value(file), reference)
	if !ok {
		return nil, nil
	}
	if base = w.reader.read(path, reference); base == nil {
		return nil, nil
	}
	if within != nil {
		base.within = within
	}
	if base.env == nil {
		base.dir, base.env = filepath.Dir(path), doc.env
	}
	return named, base
}

// service is the node of a service in a document or one it includes.
func (d *document) service(name string) (*yaml.Node, *document) {
	for _, root := range d.roots {
		if n := child(root, "services", name); n != nil {
			return n, d
		}
	}
	for _, i := range d.includes {
		if n, from := i.service(name); n != nil {
			return n, from
		}
	}
	return nil, nil
}

// serviceNames are what service finds.
func (d *document) serviceNames() []string {
	var names []string
	for _, root := range d.roots {
		if services := child(root, "services"); services != nil {
			for _, e := range entries(services) {
				names = append(names, e.key.Value)
			}
		}
	}
	for _, i := range d.includes {
		names = append(names, i.serviceNames()...)
	}
	return names
}
