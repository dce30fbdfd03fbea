package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
)

// Budgets of one file, so that a small file cannot ask for unbounded memory or time (alias bombs, CVE-2019-11253).
// compose-go takes 40 µs a value, and refuses 100,000 of them itself: maxNodes counts keys, too.
const (
	maxBytes   = 16 << 20
	maxNodes   = 200_000
	maxDepth   = 256
	maxAliased = 100_000
)

// document is one file as YAML nodes.
type document struct {
	file    string
	content []byte
	// dir is what relative paths in it start from.
	dir string
	// within are the folders that files it names have to be in, where it came from elsewhere; nil are all.
	within []string
	// env is what its variables are looked up in.
	env map[string]string
	// roots are the mappings of its YAML documents; the later override the earlier.
	roots []*yaml.Node
	// includes are the files its include: names.
	includes []*document
	// tagged says that !reset or !override stands in it.
	tagged bool
}

// reader reads each file once.
type reader struct {
	*report
	stdin     io.Reader
	documents map[string]*document
}

// read reads and parses a file within the budgets; nil with problems recorded when it cannot.
func (r reader) read(file string, reference compose.Problem) *document {
	if doc, ok := r.documents[file]; ok {
		return doc
	}
	content, err := r.content(file)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		reference.Message = fmt.Sprintf("cannot read %q: %s", r.short(file), plain(err))
		r.problems = append(r.problems, reference)
		return nil
	}
	doc := &document{file: file, content: content}
	before := len(r.problems)
	r.parse(doc)
	if len(r.problems) > before {
		doc = nil
	}
	r.documents[file] = doc
	return doc
}

// content is a file's bytes; one more than maxBytes is read to know that there are too many.
func (r reader) content(file string) ([]byte, error) {
	if file == "-" {
		if r.stdin == nil {
			return nil, errors.New("there is no standard input")
		}
		return io.ReadAll(io.LimitReader(r.stdin, maxBytes+1))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

// plain says the usual system errors without the call they came from.
func plain(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, syscall.EISDIR):
		return "it is a folder"
	}
	return err.Error()
}

// parse fills the roots of a document. A syntax error hides what follows it; of what parses every problem is recorded.
func (r reader) parse(doc *document) {
	if len(doc.content) > maxBytes {
		r.problem(compose.Position{File: doc.file}, "", "the file is larger than 16 MiB", "")
		return
	}
	before := len(r.problems)
	decoder := yaml.NewDecoder(bytes.NewReader(doc.content))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.syntax(doc, err)
			return
		}
		if len(node.Content) == 0 || node.Content[0].ShortTag() == "!!null" {
			continue
		}
		root := node.Content[0]
		at := position(doc, root)
		if root.Kind != yaml.MappingNode {
			r.problem(at, "", fmt.Sprintf("a Compose file is a mapping, this one is %s", describeNode(root)), `start with "services:"`)
			return
		}
		b := budget{doc: doc, open: map[*yaml.Node]bool{}}
		if why := b.visit(root, 0, false); why != "" {
			r.problem(b.at, "", why, "")
			return
		}
		doc.tagged = doc.tagged || b.tagged
		if !r.duplicates(doc, root, nil) {
			doc.roots = append(doc.roots, root)
		}
	}
	if len(doc.roots) == 0 && len(r.problems) == before {
		r.problem(compose.Position{File: doc.file}, "", "the file is empty", `start with "services:"`)
	}
}

// position of a node in its file.
func position(doc *document, n *yaml.Node) compose.Position {
	return compose.Position{File: doc.file, Line: n.Line, Column: n.Column}
}

// budget counts what a document costs when its aliases are followed.
type budget struct {
	doc            *document
	nodes, aliased int
	open           map[*yaml.Node]bool
	tagged         bool
	at             compose.Position
}

// visit returns which budget was exceeded, "" for none.
func (b *budget) visit(n *yaml.Node, depth int, inAlias bool) string {
	b.at = position(b.doc, n)
	if b.nodes++; inAlias {
		b.aliased++
	}
	switch {
	case depth > maxDepth:
		return fmt.Sprintf("nested deeper than %d levels", maxDepth)
	case b.aliased > maxAliased:
		return fmt.Sprintf("aliases expand to more than %d values", maxAliased)
	case b.nodes > maxNodes:
		return fmt.Sprintf("more than %d values", maxNodes)
	}
	if n.Tag == "!reset" || n.Tag == "!override" {
		b.tagged = true
	}
	if n.Kind == yaml.AliasNode {
		if b.open[n.Alias] {
			return fmt.Sprintf("the anchor %q contains itself", n.Value)
		}
		b.open[n.Alias] = true
		defer delete(b.open, n.Alias)
		return b.visit(n.Alias, depth+1, true)
	}
	if n.Anchor != "" && !inAlias {
		b.open[n] = true
		defer delete(b.open, n)
	}
	for _, c := range n.Content {
		if why := b.visit(c, depth+1, inAlias); why != "" {
			return why
		}
	}
	return ""
}

// duplicates records mapping keys written twice and keys that are no scalars; YAML 1.2 section 3.2.1.3 forbids the first.
func (r reader) duplicates(doc *document, n *yaml.Node, keys []string) bool {
	found := false
	seen := map[string]*yaml.Node{}
	for i := 0; i < len(n.Content); i++ {
		c := n.Content[i]
		if n.Kind != yaml.MappingNode {
			found = r.duplicates(doc, c, append(keys, fmt.Sprintf("[%d]", i))) || found
			continue
		}
		if i++; c.Kind != yaml.ScalarNode && c.Kind != yaml.AliasNode {
			r.problem(position(doc, c), compose.Path(keys...), "a key must be a string", `quote it if it holds "{" or "["`)
			found = true
			continue
		}
		if first := seen[c.Value]; first != nil {
			r.problem(position(doc, c), compose.Path(keys...), fmt.Sprintf("%q is written twice, first on line %d", c.Value, first.Line), "")
			found = true
		}
		seen[c.Value] = c
		found = r.duplicates(doc, n.Content[i], append(keys[:len(keys):len(keys)], c.Value)) || found
	}
	return found
}

// syntax records an error of the YAML parser with its place, which stands in its text only: the parser has no typed errors.
func (r reader) syntax(doc *document, err error) {
	linePattern, offsetPattern := regexp.MustCompile(`line (\d+)(?:, column (\d+))?: `), regexp.MustCompile(`offset (\d+): `)
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := compose.Position{File: doc.file, Line: 1, Column: 1}
	if all := linePattern.FindAllStringSubmatchIndex(text, -1); len(all) > 0 {
		m := all[len(all)-1]
		at.Line, _ = strconv.Atoi(text[m[2]:m[3]])
		at.Column = 0
		if m[4] >= 0 {
			at.Column, _ = strconv.Atoi(text[m[4]:m[5]])
		}
		text = text[m[1]:]
	} else if m := offsetPattern.FindStringSubmatchIndex(text); m != nil {
		offset, _ := strconv.Atoi(text[m[2]:m[3]])
		before := string(doc.content[:min(offset, len(doc.content))])
		at.Line = 1 + strings.Count(before, "\n")
		at.Column = len(before) - strings.LastIndexByte(before, '\n')
		text = text[m[1]:]
	}
	hint := ""
	lines := strings.Split(string(doc.content), "\n")
	if at.Line <= len(lines) {
		line := lines[at.Line-1]
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
			at.Column, text, hint = tab+1, "a tab in the indentation", "indent with spaces"
		}
	}
	if m := linePattern.FindStringSubmatch(err.Error()); m != nil && strings.Contains(text, "unexpected end of stream") && m[2] != "" {
		// The parser names the opening quote first, and the end of the file, where it gave up, last.
		at.Line, _ = strconv.Atoi(m[1])
		at.Column, _ = strconv.Atoi(m[2])
		text = "a quote is not closed"
	}
	r.problem(at, "", "this is not YAML: "+strings.TrimSpace(text), hint)
}
