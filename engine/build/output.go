package build

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openshift/imagebuilder/dockerfile/parser"
	"github.com/pcompose/pcompose/pod"
)

// keptLines is how much of an instruction's output a failure shows.
const keptLines = 20

// output turns what buildah prints into steps. What RUN prints comes by another way, each of its streams through a pipe of its
// own (io.ReaderFrom), so that it cannot pass for buildah's.
type output struct {
	file   *dockerfile
	report func(pod.BuildStep)
	now    func() time.Time
	// labels says that the image gets some besides those of the Dockerfile.
	labels bool

	mu sync.Mutex
	// step is the step at work; nil before the first.
	step  *step
	lines []string
	// ended are the steps that have, as the next build shows them that finds the image there.
	ended []pod.BuildStep
	// foreign says that there were steps that are not of the Dockerfile: ONBUILD of an image that it begins with.
	foreign bool
}

// step is an instruction at work.
type step struct {
	pod.BuildStep
	node  *parser.Node
	begun time.Time
}

func newOutput(file *dockerfile, report func(pod.BuildStep), now func() time.Time) *output {
	return &output{file: file, report: report, now: now}
}

// stdout is for what buildah tells, stderr for what it warns of, report for pulls.
func (o *output) stdout() io.Writer { return &stream{output: o, told: o.told} }

func (o *output) stderr() io.Writer { return &stream{output: o, told: o.print} }

func (o *output) pulls() io.Writer { return &stream{output: o, told: o.print} }

// stream is a place that buildah writes to.
type stream struct {
	*output
	told func(line string)
	// rest is a line that has not ended.
	rest []byte
}

// Write takes buildah's own words.
func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = feed(append(s.rest, b...), s.told)
	return len(b), nil
}

// ReadFrom takes what a RUN prints, until its end.
func (s *stream) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	var rest []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		total += int64(n)
		s.mu.Lock()
		rest = feed(append(rest, buf[:n]...), s.print)
		if err != nil && len(rest) > 0 {
			s.print(string(rest))
		}
		s.mu.Unlock()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// maxLine bounds a line without an end, in bytes.
const maxLine = 64 << 10

// feed gives each whole line, without its end, and returns what is left.
func feed(b []byte, line func(string)) []byte {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 && len(b) < maxLine {
			return b
		}
		if i < 0 {
			i = len(b) - 1
		}
		line(strings.TrimRight(string(b[:i]), "\r"))
		b = b[i+1:]
	}
}

// print shows a line of the step at work.
func (o *output) print(line string) {
	o.lines = append(o.lines, line)
	if len(o.lines) > keptLines {
		o.lines = o.lines[1:]
	}
	s := pod.BuildStep{Output: line}
	if o.step != nil {
		s.Name, s.Text = o.step.Name, o.step.Text
	}
	o.report(s)
}

// told understands a line of buildah's (imagebuildah/executor.go: log; stage_executor.go: logCacheHit, logImageID).
func (o *output) told(line string) {
	m := regexp.MustCompile(`^(?:\[(\d+)/(\d+)\] )?STEP (\d+)(?:/(\d+))?: (.*)$`).FindStringSubmatch(line)
	switch {
	case m != nil:
		o.end()
		o.begin(m)
	case strings.HasPrefix(line, "--> Using cache"), strings.HasPrefix(line, "--> Cache pulled"):
		if o.step != nil {
			o.step.Cached = true
		}
	case len(line) == 64 && strings.Trim(line, "0123456789abcdef") == "": // the image's ID
	case strings.HasPrefix(line, "--> "), strings.HasPrefix(line, "COMMIT"), strings.HasPrefix(line, "Successfully tagged"):
		// of the image that follows a step
	case strings.Contains(line, "COMMIT"): // with the stage in front
	default:
		o.print(line)
	}
}

// begin is the begin of a step: stage, stages, number, of how many, text.
func (o *output) begin(m []string) {
	stage, _ := strconv.Atoi(m[1])
	number, _ := strconv.Atoi(m[3])
	s := &step{begun: o.now()}
	s.Text, s.Name = m[5], m[3]+"/"+m[4]
	if stage > 0 {
		s.Name = m[1] + "/" + m[2] + " " + s.Name
	}
	total, _ := strconv.Atoi(m[4])
	if stage = max(stage, 1); stage <= len(o.file.stages) && number > 0 {
		nodes := o.file.stages[stage-1]
		// ONBUILD's steps come behind FROM.
		first := max(0, total-len(nodes)-o.appended(m[1], m[2]))
		o.foreign = o.foreign || first > 0
		switch i := number - 1 - first; {
		case number == 1: // buildah has the ID of a stage that it begins with
			s.node = nodes[0]
			s.Text = firstLine(s.node.Original)
		case i > 0 && i < len(nodes):
			s.node = nodes[i]
			if s.node.Attributes[nothing] {
				s.Text = firstLine(s.node.Original)
			}
		}
	}
	o.step, o.lines = s, nil
	o.report(s.BuildStep)
}

// appended is how many steps buildah adds to a stage: the last one's labels.
func (o *output) appended(stage, stages string) int {
	if stage == stages && o.labels {
		return 1
	}
	return 0
}

// end is the end of the step at work, which went well.
func (o *output) end() {
	if o.step == nil {
		return
	}
	s := o.step.BuildStep
	s.Ended, s.Took = true, o.now().Sub(o.step.begun)
	o.step = nil
	o.report(s)
	s.Took, s.Cached = 0, !strings.HasPrefix(s.Name[strings.LastIndexByte(s.Name, ' ')+1:], "1/")
	o.ended = append(o.ended, s)
}

// succeed ends the last step.
func (o *output) succeed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end()
}

// explain is the error of a build with the place of the instruction that failed, and the end of what it printed.
func (o *output) explain(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.step == nil || o.step.node == nil {
		return err
	}
	return &StepError{File: o.file.name, Line: o.step.node.StartLine, Text: firstLine(o.step.node.Original), Output: o.lines, Err: cause(err)}
}

// cause is what went wrong without buildah's words around it.
func cause(err error) error {
	text := err.Error()
	if m := regexp.MustCompile(`(?s)^building at STEP "(.*)": `).FindStringSubmatchIndex(text); m != nil {
		text = text[m[1]:]
	}
	if m := regexp.MustCompile(`exit status (\d+)$`).FindStringSubmatch(text); m != nil {
		return fmt.Errorf("exit code %s", m[1])
	}
	return fmt.Errorf("%s", text)
}
