package build

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// TestParse finds the stages of Dockerfiles, and the lines of what is wrong.
func TestParse(t *testing.T) {
	for _, c := range []struct{ text, stages, err string }{
		{"FROM a", "1", ""},
		{"ARG X\nFROM a AS one\nRUN x\nFROM one\n", "2 1", ""},
		{"FROM a\nRUN <<EOF\nFROM b\nEOF\nCMD x\n", "3", ""},
		{"# only a comment\n", "", "Dockerfile: the Dockerfile has no FROM"},
		{"ARG X\n", "", "Dockerfile: the Dockerfile has no FROM"},
		{"RUN x\nFROM a\n", "1", "Dockerfile:1: RUN x: no FROM before it"},
		{"FROM a\n\nRUNN x\n", "1", "Dockerfile:3: RUNN x: unknown instruction: did you mean RUN?"},
		{"FROM a\nFETCH \\\n x\nBAD y\n", "1", "Dockerfile:2: FETCH  x: unknown instruction\nDockerfile:4: BAD y: unknown instruction"},
	} {
		f := &dockerfile{name: "Dockerfile"}
		err := f.parse([]byte(c.text))
		if c.err == "" && err != nil || c.err != "" && (err == nil || squeeze(err.Error()) != squeeze(c.err)) {
			t.Errorf("%q: got the error %v, want %q", c.text, err, c.err)
		}
		var stages []string
		for _, s := range f.stages {
			stages = append(stages, string(rune('0'+len(s))))
		}
		if got := strings.Join(stages, " "); got != c.stages {
			t.Errorf("%q: stages of %q instructions, want %q", c.text, got, c.stages)
		}
	}
}

func squeeze(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "…", "")), "")
}

// TestOutput turns what buildah prints into steps, and what RUN prints into their output, whatever that looks like.
func TestOutput(t *testing.T) {
	f := &dockerfile{name: "Dockerfile"}
	if err := f.parse([]byte("FROM a AS one\nRUN x\nFROM b\nRUN y\n")); err != nil {
		t.Fatal(err)
	}
	var got []string
	out := newOutput(f, func(s pod.BuildStep) {
		line := s.Name + " " + s.Text
		switch {
		case s.Output != "":
			line += " | " + s.Output
		case s.Cached:
			line += " cached"
		case s.Ended:
			line += " done"
		}
		got = append(got, line)
	}, func() time.Time { return time.Time{} })
	told, run := out.stdout(), out.stdout().(io.ReaderFrom)
	write := func(s string) {
		if _, err := io.WriteString(told, s); err != nil {
			t.Fatal(err)
		}
	}
	write("[1/2] STEP 1/2: FROM a AS one\n[1/2] STEP 2/")
	write("2: RUN x\n--> Using cache abc\n--> abc\n[2/2] STEP 1/2: FROM b\n[2/2] STEP 2/2: RUN y\n")
	if _, err := run.ReadFrom(strings.NewReader("[2/2] STEP 2/2: RUN fake\nlast words")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1/2 1/2 FROM a AS one", "1/2 1/2 FROM a AS one done", "1/2 2/2 RUN x", "1/2 2/2 RUN x cached",
		"2/2 1/2 FROM b", "2/2 1/2 FROM b done", "2/2 2/2 RUN y",
		"2/2 2/2 RUN y | [2/2] STEP 2/2: RUN fake", "2/2 2/2 RUN y | last words",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	err := out.explain(errors.New(`building at STEP "RUN y": while running runtime: exit status 7`))
	if want := "Dockerfile:4: RUN y: exit code 7\n  | [2/2] STEP 2/2: RUN fake\n  | last words"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// TestInside refuses what leads out of a folder of strangers, by links too.
func TestInside(t *testing.T) {
	dir := t.TempDir()
	for _, link := range []struct{ name, target string }{{"out", "/etc/hostname"}, {"up", "../x"}, {"in", "file"}} {
		if err := os.Symlink(link.target, filepath.Join(dir, link.name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, fine := range map[string]bool{"file": true, "in": true, "out": false, "up": false, "nosuch": false, "../x": false} {
		if err := inside(dir, filepath.Join(dir, name), name); (err == nil) != fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUlimits clamps to what may be set.
func TestUlimits(t *testing.T) {
	o := &order{Builder: New(Config{MaxRlimits: map[string]uint64{"nofile": 1000}})}
	o.build.Ulimits = []pod.Ulimit{{Name: "core", Soft: -1, Hard: -1}, {Name: "nproc", Soft: 5, Hard: 10}}
	want := []string{"core=-1:-1", "nofile=1000:1000", "nproc=5:10"}
	if got := o.ulimits(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	o.build.Ulimits = []pod.Ulimit{{Name: "nofile", Soft: -1, Hard: 1 << 40}}
	if got := o.ulimits()[0]; got != "nofile=1000:1000" {
		t.Errorf("got %q", got)
	}
}
