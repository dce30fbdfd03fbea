// Package trigger says what changed files ask for, by what the develop sections of a project say.
//
// Patterns are those of .dockerignore files, matched by the library that docker's own tools use.
package trigger

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"

	"github.com/pcompose/pcompose/pod"
)

// Set are the triggers of a project.
type Set struct{ rules []rule }

// rule is a trigger with its patterns.
type rule struct {
	pod.Trigger
	// include is nil for everything.
	include *matcher
	// ignore are what is always ignored, what the trigger ignores and what the build of its service does.
	ignore []*matcher
}

// matcher is a set of patterns below a directory.
type matcher struct {
	dir string
	*patternmatcher.PatternMatcher
}

// always are ignored everywhere: repositories, and what editors keep beside a file while they work on it or replace it.
func always() []string {
	return []string{
		"**/.git",
		"**/*___jb_old___", "**/*___jb_tmp___", "**/.idea", // JetBrains
		"**/.#*", "**/#*#", // Emacs
		"**/4913", "**/*~", "**/.*.swp", "**/.*.swo", "**/.*.swn", "**/.*.swx", // Vim
	}
}

// New are triggers with the patterns that the builds of their services ignore, by service. An error names the pattern that
// cannot be read.
func New(triggers []pod.Trigger, builds map[string][]string) (*Set, error) {
	s := &Set{}
	for _, t := range triggers {
		r := rule{Trigger: t}
		everywhere, err := newMatcher(t.Path, always())
		if err != nil {
			return nil, err
		}
		own, err := newMatcher(t.Path, t.Ignore)
		if err != nil {
			return nil, fmt.Errorf("services.%s.develop.watch[%d].ignore: %w", t.Service, t.Index, err)
		}
		r.ignore = []*matcher{everywhere, own}
		if len(t.Include) > 0 {
			if r.include, err = newMatcher(t.Path, t.Include); err != nil {
				return nil, fmt.Errorf("services.%s.develop.watch[%d].include: %w", t.Service, t.Index, err)
			}
		}
		// One that ignores everything but a few lists what the image is made of, and says nothing of what may be synced: so
		// docker compose has it.
		if list := builds[t.Service]; len(list) > 0 && t.Context != "" && !slices.Contains(list, "*") {
			build, err := newMatcher(t.Context, list)
			if err != nil {
				return nil, fmt.Errorf("the .dockerignore of service %q: %w", t.Service, err)
			}
			r.ignore = append(r.ignore, build)
		}
		s.rules = append(s.rules, r)
	}
	return s, nil
}

func newMatcher(dir string, patterns []string) (*matcher, error) {
	below := make([]string, len(patterns))
	for i, p := range patterns {
		exception, rest := "", strings.TrimSpace(p)
		if after, is := strings.CutPrefix(rest, "!"); is {
			exception, rest = "!", strings.TrimSpace(after)
		}
		// docker compose takes absolute ones too.
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, strings.TrimSuffix(dir, "/")+"/"), "/")
		if rest = path.Clean(rest); rest == "." && p != "." {
			rest = ""
		}
		below[i] = exception + rest
	}
	m, err := patternmatcher.New(below)
	if err != nil {
		return nil, fmt.Errorf("cannot read the patterns %q: %w", patterns, err)
	}
	return &matcher{dir, m}, nil
}

// has says whether a path is matched, or a directory that it is in.
func (m *matcher) has(name string) bool {
	rel, below := Below(m.dir, name)
	if !below || rel == "." {
		return false
	}
	found, err := m.MatchesOrParentMatches(rel)
	return err == nil && found // what is wrong with a pattern New has said
}

// Below is a path as it is seen from a directory, "." for the directory itself, and whether it is below it at all.
func Below(dir, name string) (rel string, below bool) {
	if name == dir {
		return ".", true
	}
	return strings.CutPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// target is where a path goes, and whether the rule is about it at all.
func (r rule) target(name string) (target string, concerned bool) {
	rel, below := Below(r.Path, name)
	if !below || rel == "." && r.Dir || slices.ContainsFunc(r.ignore, func(m *matcher) bool { return m.has(name) }) || r.include != nil && rel != "." && !r.include.has(name) {
		return "", false
	}
	switch {
	case r.Target == "":
		return "", true
	case rel == "." && strings.HasSuffix(r.Target, "/"):
		return path.Join(r.Target, path.Base(name)), true
	}
	return path.Join("/", r.Target, rel), true
}

// Paths are those that triggers are about, sorted.
func (s *Set) Paths() []string {
	var paths []string
	for _, r := range s.rules {
		paths = append(paths, r.Path)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Skips says whether nothing below a directory can concern any trigger, so that it need not be watched.
func (s *Set) Skips(dir string) bool {
	return !slices.ContainsFunc(s.rules, func(r rule) bool {
		if _, in := Below(r.Path, dir); !in {
			_, over := Below(dir, r.Path)
			return over
		}
		return !slices.ContainsFunc(r.ignore, func(m *matcher) bool { return m.has(dir) && !m.Exclusions() })
	})
}

// Sync is what is to be brought into the containers of a service.
type Sync struct {
	Service string
	Files   []File
}

// File is a path of the host and where it belongs in a container.
type File struct{ Path, Target string }

// Exec is a command to run in the containers of a service once it has its files.
type Exec struct {
	Service string
	Index   int
	Hook    pod.Hook
}

// Actions are what changes ask for besides files: services and commands, sorted, each once.
type Actions struct {
	Rebuild, Restart []string
	Exec             []Exec
}

// Empty says whether there is nothing to do.
func (a Actions) Empty() bool { return len(a.Rebuild)+len(a.Restart)+len(a.Exec) == 0 }

// And is both: a service that is built anew is not restarted too.
func (a Actions) And(b Actions) Actions {
	rebuild := sorted(slices.Concat(a.Rebuild, b.Rebuild))
	restart := slices.DeleteFunc(sorted(slices.Concat(a.Restart, b.Restart)), func(s string) bool { return slices.Contains(rebuild, s) })
	exec := slices.Concat(a.Exec, b.Exec)
	slices.SortStableFunc(exec, compareExec)
	exec = slices.CompactFunc(exec, func(x, y Exec) bool { return compareExec(x, y) == 0 })
	return Actions{Rebuild: rebuild, Restart: restart, Exec: exec}
}

func compareExec(a, b Exec) int {
	return cmp.Or(strings.Compare(a.Service, b.Service), a.Index-b.Index)
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// Changed says what becomes of paths that have changed, or are gone: files first, then all else, once for each service however
// many paths there are.
func (s *Set) Changed(paths []string) (files []Sync, actions Actions) {
	return s.fire(paths, func(rule) bool { return true })
}

// Initial says what becomes of paths that there are before the first change: those of triggers with an initial sync.
func (s *Set) Initial(paths []string) []Sync {
	files, _ := s.fire(paths, func(r rule) bool { return r.InitialSync })
	return files
}

// Syncs are the files of one service among those that changed.
func (s *Set) Syncs(service string, paths []string) []Sync {
	files, _ := s.fire(paths, func(r rule) bool { return r.Service == service })
	return files
}

func (s *Set) fire(paths []string, of func(rule) bool) ([]Sync, Actions) {
	files := map[string]map[File]bool{}
	var actions Actions
	for _, r := range s.rules {
		if !of(r) {
			continue
		}
		hit := false
		for _, p := range paths {
			target, concerned := r.target(p)
			hit = hit || concerned
			if !concerned || !r.Action.Syncs() {
				continue
			}
			if files[r.Service] == nil {
				files[r.Service] = map[File]bool{}
			}
			files[r.Service][File{p, target}] = true
		}
		if hit {
			actions = actions.And(r.asks())
		}
	}
	var syncs []Sync
	for service, all := range files {
		one := Sync{Service: service}
		for f := range all {
			one.Files = append(one.Files, f)
		}
		slices.SortFunc(one.Files, func(a, b File) int {
			return cmp.Or(strings.Compare(a.Target, b.Target), strings.Compare(a.Path, b.Path))
		})
		syncs = append(syncs, one)
	}
	slices.SortFunc(syncs, func(a, b Sync) int { return strings.Compare(a.Service, b.Service) })
	return syncs, actions
}

// asks is what a rule asks for besides files.
func (r rule) asks() Actions {
	switch r.Action {
	case pod.TriggerRebuild:
		return Actions{Rebuild: []string{r.Service}}
	case pod.TriggerRestart, pod.TriggerSyncRestart:
		return Actions{Restart: []string{r.Service}}
	case pod.TriggerSyncExec:
		return Actions{Exec: []Exec{{r.Service, r.Index, r.Exec}}}
	}
	return Actions{}
}
