package compose

import "strings"

// Place is one value of a file: its path and where it was written.
type Place struct {
	// Keys are the path's steps: mapping keys as they are, list items as "[0]".
	Keys []string
	At   Position
}

// Path prints keys as services.web.ports[0].
func Path(keys ...string) string {
	var b strings.Builder
	for i, k := range keys {
		if i > 0 && !strings.HasPrefix(k, "[") {
			b.WriteByte('.')
		}
		b.WriteString(k)
	}
	return b.String()
}

// Places finds the position of a path. The zero value is empty and ready.
type Places struct {
	all   []Place
	index map[string]Position
}

// Add records a place; a later file's replaces an earlier file's, as its values do.
func (ps *Places) Add(at Position, keys ...string) {
	ps.all = append(ps.all, Place{Keys: keys, At: at})
	ps.Alias(at, keys...)
}

// Alias lets a place be found under another path, without being listed by All.
func (ps *Places) Alias(at Position, keys ...string) {
	if ps.index == nil {
		ps.index = map[string]Position{}
	}
	ps.index[Path(keys...)] = at
}

// All are the places recorded, in the order they were.
func (ps *Places) All() []Place { return ps.all }

// Has says whether the very path was written.
func (ps *Places) Has(path string) bool {
	_, ok := ps.index[path]
	return ok
}

// At is the position of a path, or of its nearest parent that was written; unknown when there is none.
func (ps *Places) At(path string) Position {
	for path != "" {
		if at, ok := ps.index[path]; ok {
			return at
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return ps.index[""]
}

// Relative is ps with the files as seen from dir.
func (ps *Places) Relative(dir string) Places {
	out := Places{all: make([]Place, len(ps.all)), index: make(map[string]Position, len(ps.index))}
	short := map[string]string{}
	rel := func(p Position) Position {
		if _, ok := short[p.File]; !ok {
			short[p.File] = Position{File: p.File}.Relative(dir).File
		}
		p.File = short[p.File]
		return p
	}
	for i, p := range ps.all {
		out.all[i] = Place{Keys: p.Keys, At: rel(p.At)}
	}
	for path, at := range ps.index {
		out.index[path] = rel(at)
	}
	return out
}
