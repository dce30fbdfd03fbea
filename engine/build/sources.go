package build

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/transports/alltransports"
)

// source is something that a Dockerfile takes from a context.
type source struct {
	// context is an additional one's name, "" the main one; path is below it.
	context, path string
	// bound says that RUN sees it where it is: nothing is left out by a .dockerignore.
	bound bool
}

// reading is a Dockerfile that is read for what it takes.
type reading struct {
	*order
	// args are the build arguments, with the defaults that the Dockerfile gives, wherever.
	args []string
}

// sources are what a Dockerfile takes from its contexts, at most. ok is false where that cannot be known beforehand, as for what
// ADD fetches, or where an image is made of one that the store does not have by its name.
func (o *order) sources() (list []source, ok bool) {
	r := reading{o, o.file.arguments(o.build.Args)}
	for _, stage := range o.file.stages {
		for _, n := range stage {
			some, ok := r.instruction(n)
			if !ok {
				return nil, false
			}
			list = append(list, some...)
		}
	}
	return list, true
}

// instruction says what one takes.
func (r reading) instruction(n *parser.Node) (list []source, ok bool) {
	words := wordsOf(n)
	switch strings.ToLower(n.Value) {
	case command.From:
		return nil, len(words) > 0 && r.lasting(words[0])
	case command.Add:
		if slices.ContainsFunc(words, elsewhere) {
			return nil, false
		}
		return r.copied(n, words)
	case command.Copy:
		return r.copied(n, words)
	case command.Run:
		return r.mounted(n)
	}
	return nil, true
}

// copied is what COPY and ADD take; the last word is where to.
func (r reading) copied(n *parser.Node, words []string) (list []source, ok bool) {
	from := flag(n, "--from")
	for _, word := range words[:max(0, len(words)-1)] {
		list = append(list, r.taken(from, word)...)
	}
	return list, r.lasting(from)
}

// mounted is what RUN sees.
func (r reading) mounted(n *parser.Node) (list []source, ok bool) {
	for _, f := range n.Flags {
		mount, ok := strings.CutPrefix(f, "--mount=")
		if !ok {
			continue
		}
		m := mountOf(mount)
		if !r.lasting(m["from"]) {
			return nil, false
		}
		if kind := cmp.Or(m["type"], "bind"); kind != "bind" && (kind != "cache" || m["from"] == "") {
			continue
		}
		for _, s := range r.taken(m["from"], cmp.Or(m["source"], m["src"], ".")) {
			s.bound = true
			list = append(list, s)
		}
	}
	return list, true
}

// arguments are those that are given, and the defaults of the others.
func (f *dockerfile) arguments(given map[string]string) []string {
	args := map[string]string{}
	for _, stage := range append([][]*parser.Node{f.ahead}, f.stages...) {
		for _, n := range stage {
			if strings.ToLower(n.Value) != command.Arg {
				continue
			}
			for _, word := range wordsOf(n) {
				if name, value, ok := strings.Cut(word, "="); ok && args[name] == "" {
					args[name] = value
				}
			}
		}
	}
	maps.Copy(args, given)
	return pairs(args)
}

// lasting says whether what FROM or from= names is a stage, a context or an image of a name that the store is asked for: not one of
// another transport, such as an archive, whose content may change, and not what this very build makes.
func (r reading) lasting(word string) bool {
	name, err := imagebuilder.ProcessWord(word, r.args)
	if err != nil {
		return false
	}
	if _, stage := r.file.has(name); stage || name == "" {
		return true
	}
	if image, ok := strings.CutPrefix(r.build.Contexts[name], imagePrefix); ok {
		name = image
	}
	if _, err := alltransports.ParseImageName(name); err == nil {
		return false
	}
	own, err := ownNames(r.build.Tags)
	if err != nil {
		return false
	}
	for _, parse := range []func(string) (reference.Named, error){libimage.NormalizeName, reference.ParseNormalizedNamed} {
		if named, err := parse(name); err == nil && slices.Contains(own, reference.TagNameOnly(named).String()) {
			return false
		}
	}
	return true
}

// ownNames are the names of an image as the store has them.
func ownNames(tags []string) ([]string, error) {
	var names []string
	for _, tag := range tags {
		named, err := libimage.NormalizeName(tag)
		if err != nil {
			return nil, err
		}
		names = append(names, named.String())
	}
	return names, nil
}

// elsewhere says whether ADD may fetch what a word names.
func elsewhere(word string) bool {
	return strings.Contains(word, "://") || strings.Contains(word, "$") || strings.HasPrefix(word, "git@")
}

// taken is what a path means that COPY, ADD or a mount takes from somewhere: nothing of a stage or an image.
func (r reading) taken(from, word string) []source {
	if strings.HasPrefix(word, "<<") {
		return nil // the text of a heredoc is in the Dockerfile
	}
	s := source{path: static(word)}
	name, err := imagebuilder.ProcessWord(from, r.args)
	if n, nan := strconv.Atoi(name); nan == nil && n >= 0 && n < len(r.file.stages) {
		// An additional context takes the place of a stage of its name.
		name = cmp.Or(stageName(r.file.stages[n]), name)
	}
	switch _, folder := r.folders[name]; {
	case name == "" && err == nil:
		return []source{s}
	case folder:
		s.context = name
		return []source{s}
	case err != nil || strings.Contains(from, "$"): // an argument of that stage may be another's
		var all []source
		for _, name := range sorted(r.folders) {
			all = append(all, source{context: name, path: "."})
		}
		return all
	}
	return nil
}

// static is the part of a path that has no pattern and no variable in it.
func static(word string) string {
	if strings.Contains(word, "$") {
		return "."
	}
	parts := strings.Split(strings.TrimPrefix(path.Clean("/"+word), "/"), "/")
	if i := slices.IndexFunc(parts, func(p string) bool { return strings.ContainsAny(p, `*?[\`) }); i >= 0 {
		parts = parts[:i]
	}
	return path.Join(append([]string{"."}, parts...)...)
}

// wordsOf are what follows an instruction.
func wordsOf(n *parser.Node) []string {
	var words []string
	for w := n.Next; w != nil; w = w.Next {
		words = append(words, w.Value)
	}
	return words
}

// flag is the value of an instruction's flag, "" without it.
func flag(n *parser.Node, name string) string {
	for _, f := range n.Flags {
		if value, ok := strings.CutPrefix(f, name+"="); ok {
			return value
		}
	}
	return ""
}

// mountOf takes a mount of RUN apart.
func mountOf(mount string) map[string]string {
	m := map[string]string{}
	for _, field := range strings.Split(mount, ",") {
		key, value, _ := strings.Cut(field, "=")
		m[strings.ToLower(key)] = value
	}
	return m
}
