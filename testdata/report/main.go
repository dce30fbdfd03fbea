// Command report turns `go test -json` into what a person reads: every failure with its output, one closing line a
// package, and every test that was skipped, with the reason it gave.
//
//	go test -json ./... | report [-skips FILE] [-world NAME -table FILE]
//
// It exits 1 if anything failed. With -skips the skips are appended to FILE instead of being printed, with -table a line
// on the world that the script tests ran in: how many passed, were skipped, failed, and the seconds it took.
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
	world := flag.String("world", "", "the `NAME` of the world that the tests run in, for the table and the skips")
	table := flag.String("table", "", "append the world's line of the table to `FILE`")
	flag.Parse()
	r := report(os.Stdin, os.Stdout)
	for i, skip := range r.skips {
		if *world != "" {
			skip = "in world " + *world + ": " + skip
		}
		if r.skips[i] = skip; *file == "" {
			fmt.Println("skipped", skip)
		}
	}
	err := appendLines(*file, r.skips)
	if err == nil {
		line := fmt.Sprintf("%-10s %6d %7d %6d %5.0f s", *world, r.passed, len(r.skips), r.failures, r.seconds)
		err = appendLines(*table, []string{line})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
	}
	if err != nil || r.failed {
		os.Exit(1)
	}
}

// appendLines adds lines to a file; "" is none.
func appendLines(file string, lines []string) error {
	if file == "" {
		return nil
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return out.Close()
}

// result is what came of a run: the skipped tests, each with its reason, and how many passed and failed, those with
// subtests not counted for themselves.
type result struct {
	skips            []string
	passed, failures int
	seconds          float64
	// failed is also set by what is no test: a package that does not build.
	failed bool
}

// report prints failures and closing lines as they come.
func report(in io.Reader, out io.Writer) (r result) {
	parents := map[key]bool{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	output := map[key][]string{}
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			// Not from a test: the go command itself has something to say.
			fmt.Fprintln(out, lines.Text())
			r.failed = true
			continue
		}
		at := key{e.Package, e.Test}
		if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
			parents[key{e.Package, e.Test[:i]}] = true
		}
		switch e.Action {
		case "output":
			output[at] = append(output[at], e.Output)
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "pass":
			if e.Test == "" {
				fmt.Fprintf(out, "ok    %s\t%.1fs\n", e.Package, e.Elapsed)
				r.seconds += e.Elapsed
			} else if !parents[at] {
				r.passed++
			}
			delete(output, at)
		case "skip":
			if e.Test != "" {
				r.skips = append(r.skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(output[at])))
			}
		case "fail":
			r.failed = true
			if e.Test == "" {
				fmt.Fprintf(out, "FAIL  %s\t%.1fs\n", e.Package, e.Elapsed)
				r.seconds += e.Elapsed
			} else if !parents[at] {
				r.failures++
			}
			fmt.Fprint(out, strings.Join(output[at], ""))
		}
	}
	r.failed = r.failed || lines.Err() != nil
	return r
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
