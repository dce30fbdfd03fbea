package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// adaptation writes a Dockerfile anew for buildah, where that does otherwise than docker what an instruction says.
type adaptation struct {
	*dockerfile
	privileged bool
	lines      []string
	changed    bool
}

// setting is what SHELL and USER say where an instruction is; nothing where they are the image's own.
type setting struct {
	shell []string
	user  string
}

// adapt is the path of the Dockerfile for buildah.
func (o *order) adapt() (string, error) {
	a := &adaptation{dockerfile: o.file, privileged: o.build.Privileged, lines: strings.Split(string(o.file.text), "\n")}
	var errs []error
	r := reading{o, o.file.arguments(o.build.Args)}
	var ends []setting
	for i, stage := range o.file.stages {
		var now setting
		if base := r.stage(first(wordsOf(stage[0])), i); base >= 0 {
			now = ends[base]
		}
		var adapted []*parser.Node
		for j, n := range stage {
			if err := a.instruction(n, &now); err != nil {
				errs = append(errs, a.at(n, err))
			}
			adapted = append(adapted, n)
			if strings.EqualFold(n.Value, command.Workdir) && lost(stage[j+1:], now.user, i == len(o.file.stages)-1) {
				adapted = append(adapted, a.keep(n))
			}
		}
		ends, o.file.stages[i] = append(ends, now), adapted
	}
	if err := errors.Join(errs...); err != nil || !a.changed {
		return o.file.path, err
	}
	if err := os.MkdirAll(filepath.Join(o.dir, nothing), 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(o.dir, "Dockerfile.adapted")
	return path, os.WriteFile(path, []byte(strings.Join(a.lines, "\n")), 0o600)
}

// instruction adapts one, and notes what it says for those after it.
func (a *adaptation) instruction(n *parser.Node, now *setting) error {
	words := wordsOf(n)
	switch strings.ToLower(n.Value) {
	case command.Shell:
		now.shell = words
	case command.User:
		now.user = first(words)
	case command.Cmd, command.Entrypoint:
		// imagebuilder 1.2.21 takes /bin/sh for what is no list, whatever SHELL says (dispatchers.go: cmd, entrypoint).
		if len(now.shell) > 0 && !n.Attributes["json"] && len(words) == 1 {
			list, err := json.Marshal(append(slices.Clone(now.shell), words...))
			a.replace(n, strings.ToUpper(n.Value)+" "+string(list))
			return err
		}
	case command.Expose:
		list, err := ports(words)
		if err != nil {
			return err
		}
		if !slices.Equal(list, words) {
			a.replace(n, "EXPOSE "+strings.Join(list, " "))
		}
	case command.Run:
		return a.run(n)
	}
	return nil
}

// lost says whether the folder that WORKDIR makes is made by nobody, or by root, as buildah has it: it forgets what changed
// where a layer does not follow (stage_executor.go: stepRequiresLayer). RUN makes it as it should be, and where root is the
// user, so do COPY and who starts the image.
func lost(rest []*parser.Node, user string, last bool) bool {
	root := slices.Contains([]string{"", "root", "0", "root:root", "0:0"}, user)
	for _, n := range rest {
		switch strings.ToLower(n.Value) {
		case command.Run, command.Workdir:
			return false
		case command.Copy, command.Add:
			return !root
		}
	}
	return !root || !last
}

// nothing is the name of an additional context without a file.
const nothing = "pcompose-nothing"

// keep adds a layer to a WORKDIR, by a COPY of nothing; to users it is still the WORKDIR.
func (a *adaptation) keep(n *parser.Node) *parser.Node {
	a.lines[n.EndLine-1] += "\nCOPY --from=" + nothing + " . /"
	a.changed = true
	return &parser.Node{Value: command.Copy, Original: n.Original, StartLine: n.StartLine, EndLine: n.EndLine, Attributes: map[string]bool{nothing: true}}
}

// ports are ranges of EXPOSE one by one, as docker keeps them. Words with variables stay as they are.
func ports(words []string) ([]string, error) {
	var list []string
	for _, word := range words {
		span, protocol, _ := strings.Cut(word, "/")
		if strings.ContainsAny(word, "$:\"'\\`") {
			list = append(list, word)
			continue
		}
		from, to, ranged := strings.Cut(span, "-")
		if !ranged {
			to = from
		}
		low, err1 := strconv.ParseUint(from, 10, 16)
		high, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || high < low {
			return nil, fmt.Errorf("%q is no port: write a number or a range, as in 8000-8010/udp", word)
		}
		if !ranged {
			list = append(list, word)
			continue
		}
		if protocol != "" {
			protocol = "/" + protocol
		}
		for p := low; p <= high; p++ {
			list = append(list, strconv.FormatUint(p, 10)+protocol)
		}
	}
	return list, nil
}

// run adapts the flags of RUN: buildah knows no --security, and calls the size of a tmpfs otherwise.
func (a *adaptation) run(n *parser.Node) error {
	for _, f := range n.Flags {
		mode, ok := strings.CutPrefix(f, "--security=")
		switch {
		case ok && mode == "insecure" && !a.privileged:
			return errors.New("a single RUN is not given privileges: say privileged: true in the build section")
		case ok && (mode == "insecure" || mode == "sandbox"):
			a.word(n, f, "")
		case strings.HasPrefix(f, "--mount=") && mountOf(strings.TrimPrefix(f, "--mount="))["type"] == "tmpfs":
			a.word(n, f, strings.ReplaceAll(f, ",size=", ",tmpfs-size="))
		}
	}
	return nil
}

// replace puts one line in the place of an instruction's.
func (a *adaptation) replace(n *parser.Node, line string) {
	for i := n.StartLine; i <= n.EndLine && i <= len(a.lines); i++ {
		a.lines[i-1] = ""
	}
	a.lines[n.StartLine-1], a.changed = line, true
}

// word replaces the first of a word in an instruction.
func (a *adaptation) word(n *parser.Node, old, word string) {
	for i := n.StartLine; old != word && i <= n.EndLine && i <= len(a.lines); i++ {
		if line := a.lines[i-1]; strings.Contains(line, old) {
			a.lines[i-1], a.changed = strings.Replace(line, old, word, 1), true
			return
		}
	}
}
