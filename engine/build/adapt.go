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

// adaptation writes a Dockerfile anew for buildah, where that does otherwise than docker what an instruction says; the instructions
// keep their number and lines.
type adaptation struct {
	*dockerfile
	privileged bool
	lines      []string
	// shells are what SHELL says at the end of each stage; nil for the image's own.
	shells  [][]string
	changed bool
}

// adapt is the path of the Dockerfile for buildah.
func (o *order) adapt() (string, error) {
	a := &adaptation{dockerfile: o.file, privileged: o.build.Privileged, lines: strings.Split(string(o.file.text), "\n")}
	var errs []error
	r := reading{o, o.file.arguments(o.build.Args)}
	for i, stage := range o.file.stages {
		var shell []string
		if base := r.stage(first(wordsOf(stage[0])), i); base >= 0 {
			shell = a.shells[base]
		}
		for _, n := range stage {
			var err error
			if shell, err = a.instruction(n, shell); err != nil {
				errs = append(errs, a.at(n, err))
			}
		}
		a.shells = append(a.shells, shell)
	}
	if err := errors.Join(errs...); err != nil || !a.changed {
		return o.file.path, err
	}
	path := filepath.Join(o.dir, "Dockerfile.adapted")
	return path, os.WriteFile(path, []byte(strings.Join(a.lines, "\n")), 0o600)
}

// instruction adapts one, and says which shell holds after it.
func (a *adaptation) instruction(n *parser.Node, shell []string) ([]string, error) {
	switch strings.ToLower(n.Value) {
	case command.Shell:
		return wordsOf(n), nil
	case command.Cmd, command.Entrypoint:
		// imagebuilder 1.2.21 takes /bin/sh for what is no list, whatever SHELL says (dispatchers.go: cmd, entrypoint).
		if words := wordsOf(n); len(shell) > 0 && !n.Attributes["json"] && len(words) == 1 {
			list, err := json.Marshal(append(slices.Clone(shell), words...))
			a.replace(n, strings.ToUpper(n.Value)+" "+string(list))
			return shell, err
		}
	case command.Expose:
		words, err := ports(wordsOf(n))
		if err != nil {
			return shell, err
		}
		if !slices.Equal(words, wordsOf(n)) {
			a.replace(n, "EXPOSE "+strings.Join(words, " "))
		}
	case command.Run:
		return shell, a.run(n)
	}
	return shell, nil
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
