package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pcompose/pcompose/"

// layout says, for each package, which packages of ours it may import. A change here is a change of the design:
// the pull request says why in its first line.
//
// Its laws: nothing but compose, planner/desired and the command line knows what a user wrote; pod never imports
// engine, planner imports only pod, nothing imports cmd; an interface lives with its user.
var layout = map[string][]string{
	"compose":         {},
	"compose/graph":   {},
	"compose/load":    {"compose", "compose/graph", "compose/support", "pod"},
	"compose/support": {},

	"planner":         {"planner/cells", "pod"},
	"planner/cells":   {"pod"},
	"planner/desired": {"compose", "compose/graph", "compose/support", "pod"},
	"planner/trigger": {"pod"},

	"pod":                     {},
	"pod/control":             {"pod", "pod/lifecycle"},
	"pod/events":              {},
	"pod/hub":                 {"pod"},
	"pod/keeper":              {},
	"pod/lifecycle":           {"pod"},
	"pod/logs":                {},
	"pod/pid1":                {},
	"pod/runtime":             {},
	"pod/runtime/builtin":     {"pod/runtime"},
	"pod/runtime/runtimetest": {"pod/runtime"},
	"pod/resolver":            {},
	"pod/sandbox":             {"pod", "pod/usernet"},
	"pod/usernet":             {},
	"pod/supervisor":          {"pod", "pod/control", "pod/events", "pod/hub", "pod/keeper", "pod/lifecycle", "pod/logs", "pod/resolver", "pod/runtime", "pod/runtime/builtin", "pod/sandbox"},

	"engine": {
		"engine/archive", "engine/build", "engine/cache", "engine/execute", "engine/image", "engine/network", "engine/ocispec", "engine/provider", "engine/rootfs", "engine/scope", "engine/secret", "engine/state", "engine/usage", "engine/userns", "engine/volume",
		"planner", "pod", "pod/control", "pod/events", "pod/hub", "pod/keeper", "pod/lifecycle", "pod/logs", "pod/pid1", "pod/resolver", "pod/runtime", "pod/runtime/builtin", "pod/sandbox",
	},
	"engine/archive":  {},
	"engine/artifact": {"engine/cache", "engine/image"},
	"engine/build":    {"pod", "pod/runtime"},
	"engine/cache":    {},
	"engine/checkout": {"engine/cache"},
	"engine/doctor":   {},
	"engine/execute":  {"planner", "pod"},
	"engine/image":    {"pod"},
	"engine/machine":  {"engine/doctor", "engine/image", "engine/userns", "pod/sandbox"},
	"engine/network":  {"engine/state", "pod"},
	"engine/ocispec":  {"pod"},
	"engine/offline":  {"engine/archive", "engine/cache", "engine/image"},
	"engine/provider": {"pod"},
	"engine/rootfs":   {},
	"engine/scope":    {},
	"engine/secret":   {"pod"},
	"engine/state":    {"pod"},
	"engine/usage":    {},
	"engine/userns":   {},
	"engine/volume":   {"pod"},
	"engine/watch":    {"planner/trigger", "pod"},

	"cmd/pcompose":         {"cmd/pcompose/cli", "cmd/pcompose/process", "engine/machine", "engine/userns", "pod/runtime/builtin"},
	"cmd/pcompose/process": {"engine/userns", "pod/control", "pod/sandbox", "pod/supervisor", "pod/usernet"},
	"cmd/pcompose/cli": {
		"cmd/pcompose/ui", "compose", "compose/graph", "compose/load", "compose/support", "engine", "engine/artifact", "engine/checkout", "engine/doctor", "engine/execute", "engine/image", "engine/machine", "engine/offline",
		"engine/usage", "engine/userns", "engine/volume", "engine/watch", "planner", "planner/desired", "planner/trigger", "pod", "pod/events", "pod/logs",
	},
	"cmd/pcompose/ui": {"engine/execute", "planner", "pod"},
}

// pure packages reach for nothing: no machine, no clock, no chance.
var pure = []string{"compose", "compose/graph", "compose/support", "pod", "pod/lifecycle", "planner", "planner/cells", "planner/desired", "planner/trigger", "engine/doctor", "engine/ocispec"}

// impure are the packages that reach; those below them do too, but for net/netip, which only reckons.
var impure = []string{"os", "net", "syscall", "log", "math/rand", "crypto/rand", "golang.org/x/sys"}

// clock are the functions of package time that read the clock or wait for it.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// written are the packages that know of compose-go's types.
var written = []string{"compose", "compose/graph", "compose/load", "planner/desired", "cmd/pcompose/cli"}

// topLevel is all that the repository's root may have, besides what git ignores.
var topLevel = []string{
	"cmd", "compose", "planner", "pod", "engine", "examples", "testdata", "docs", ".ci", "go.mod", "go.sum", "Makefile",
	"README.md", "LICENSE", "CHANGELOG.md", ".git", ".gitignore", ".gitattributes", ".golangci.yml",
}

// The bars of code that is not a test.
const (
	maxFileLines     = 400 // of code
	maxFunctionLines = 70  // of code
	maxMethods       = 20  // of a type
)

// source is a Go file that is no test.
type source struct {
	path, pkg string // below the root
	text      []byte
	file      *ast.File
	set       *token.FileSet
}

const root = "../.."

// sources are the Go files of the repository below its top-level folders.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, top := range []string{"cmd", "compose", "planner", "pod", "engine", "examples", "testdata"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(file string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == "testdata" && top != "testdata" {
				return fs.SkipDir // as go build does
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			s := source{path: strings.TrimPrefix(filepath.ToSlash(file), root+"/"), set: token.NewFileSet()}
			s.pkg = path.Dir(s.path)
			if s.text, err = os.ReadFile(file); err == nil {
				s.file, err = parser.ParseFile(s.set, file, s.text, parser.ParseComments)
			}
			all = append(all, s)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (s source) imports() []string {
	var paths []string
	for _, i := range s.file.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			panic(err) // the parser has read it
		}
		paths = append(paths, p)
	}
	return paths
}

// below says whether a path is one of the roots or below one.
func below(p string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return p == r || strings.HasPrefix(p, r+"/") })
}

func TestImports(t *testing.T) {
	seen := map[string]map[string]bool{}
	for _, s := range sources(t) {
		if below(s.pkg, "examples", "testdata") { // programs beside the product
			for _, p := range s.imports() {
				// The manual is made of the command line itself.
				if strings.HasPrefix(p, module) && s.pkg != "testdata/man" {
					t.Errorf("%s imports %s: examples and tools stand for themselves", s.path, p)
				}
			}
			continue
		}
		allowed, known := layout[s.pkg]
		if !known {
			t.Errorf("package %s is not in the layout", s.pkg)
		}
		if seen[s.pkg] == nil {
			seen[s.pkg] = map[string]bool{}
		}
		for _, p := range s.imports() {
			ours, is := strings.CutPrefix(p, module)
			switch {
			case is && !slices.Contains(allowed, ours):
				t.Errorf("%s imports %s, which the layout does not let %s", s.path, ours, s.pkg)
			case is:
				seen[s.pkg][ours] = true
			case below(p, "github.com/compose-spec/compose-go/v2") && !slices.Contains(written, s.pkg):
				t.Errorf("%s imports %s: what a user wrote ends at planner/desired", s.path, p)
			}
		}
	}
	for pkg, allowed := range layout {
		if seen[pkg] == nil {
			t.Errorf("the layout has package %s, the tree has not", pkg)
			continue
		}
		for _, p := range allowed {
			if !seen[pkg][p] {
				t.Errorf("the layout lets %s import %s, which it does not", pkg, p)
			}
		}
	}
}

func TestPure(t *testing.T) {
	for _, s := range sources(t) {
		if !slices.Contains(pure, s.pkg) {
			continue
		}
		for _, p := range s.imports() {
			if below(p, impure...) && p != "net/netip" {
				t.Errorf("%s imports %s: %s is pure", s.path, p, s.pkg)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, sel.Sel.Name) {
					t.Errorf("%s: time.%s: %s is pure", s.at(n), sel.Sel.Name, s.pkg)
				}
			}
			return true
		})
	}
}

func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(n.Pos()).Line)
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	ignored := strings.Fields(string(b))
	for _, e := range entries {
		ignore := slices.ContainsFunc(ignored, func(pattern string) bool {
			match, err := path.Match(strings.Trim(pattern, "/"), e.Name())
			return err == nil && match
		})
		if !ignore && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s has no place in the root of the repository", e.Name())
		}
	}
}

func TestBars(t *testing.T) {
	methods := map[string]int{}
	for _, s := range sources(t) {
		code := s.codeLines()
		if n := len(code); n > maxFileLines {
			t.Errorf("%s has %d lines of code, at most %d are few enough to read", s.path, n, maxFileLines)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if n := s.functionLines(f, code); n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, at most %d", s.at(f), f.Name.Name, n, maxFunctionLines)
			}
			if f.Recv != nil {
				methods[s.pkg+"."+receiver(f.Recv.List[0].Type)]++
			}
		}
	}
	for name, n := range methods {
		if n > maxMethods {
			t.Errorf("type %s has %d methods, at most %d", name, n, maxMethods)
		}
	}
}

// codeLines are the lines that have more than comments.
func (s source) codeLines() map[int]bool {
	var sc scanner.Scanner
	set := token.NewFileSet()
	f := set.AddFile(s.path, -1, len(s.text))
	sc.Init(f, s.text, nil, 0)
	lines := map[int]bool{}
	for {
		pos, tok, text := sc.Scan()
		switch {
		case tok == token.EOF:
			return lines
		case tok == token.SEMICOLON && text == "\n": // made up at the end of a line
			continue
		}
		for i := range 1 + strings.Count(text, "\n") { // of a raw string
			lines[f.Line(pos)+i] = true
		}
	}
}

// functionLines are the lines of code in a function's body.
func (s source) functionLines(f *ast.FuncDecl, code map[int]bool) int {
	n := 0
	for line := s.set.Position(f.Body.Lbrace).Line + 1; line < s.set.Position(f.Body.Rbrace).Line; line++ {
		if code[line] {
			n++
		}
	}
	return n
}

// receiver is the name of a method's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}
