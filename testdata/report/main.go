// Command report turns `go test -json` into what a person reads: every failure with its output, one closing line a
// package, and every test that was skipped, with the reason it gave.
//
//	go test -json ./... | report [-skips FILE]
//
// It exits 1 if anything failed. With -skips the skips are appended to FILE instead of being printed.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is a line of go test -json (go doc test2json).
type event struct {
	Action     string
	Package    string
	Test       string
	ImportPath string
	Output     string
	Elapsed    float64
}

type key struct{ pkg, test string }

func main() {
	file := flag.String("skips", "", "append skipped tests to `FILE` instead of printing them")
	flag.Parse()
	skips, failed := report(os.Stdin, os.Stdout)
	if err := writeSkips(*file, skips); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	if failed {
		os.Exit(1)
	}
}

func writeSkips(file string, skips []string) error {
	if file == "" {
		for _, skip := range skips {
			fmt.Println("skipped", skip)
		}
		return nil
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	for _, skip := range skips {
		if _, err := fmt.Fprintln(out, skip); err != nil {
			return err
		}
	}
	return out.Close()
}

// report prints failures and closing lines as they come and returns the skipped tests, each with its reason.
func report(in io.Reader, out io.Writer) (skips []string, failed bool) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	output := map[key][]string{}
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			// Not from a test: the go command itself has something to say.
			fmt.Fprintln(out, lines.Text())
			failed = true
			continue
		}
		at := key{e.Package, e.Test}
		switch e.Action {
		case "output":
			output[at] = append(output[at], e.Output)
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "pass":
			if e.Test == "" {
				fmt.Fprintf(out, "ok    %s\t%.1fs\n", e.Package, e.Elapsed)
			}
			delete(output, at)
		case "skip":
			if e.Test != "" {
				skips = append(skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(output[at])))
			}
		case "fail":
			failed = true
			if e.Test == "" {
				fmt.Fprintf(out, "FAIL  %s\t%.1fs\n", e.Package, e.Elapsed)
			}
			fmt.Fprint(out, strings.Join(output[at], ""))
		}
	}
	return skips, failed || lines.Err() != nil
}

// reason is what a skipped test said, without the lines that go test adds.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		said = append(said, line)
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}
