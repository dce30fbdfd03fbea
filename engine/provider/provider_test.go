package provider_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/engine/provider"
	"github.com/pcompose/pcompose/pod"
)

// program writes an executable.
func program(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	vars := map[string]string{"HOME": dir, "PATH": at("one") + ":relative:" + at("two")}
	f := provider.Finder{Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
	program(t, at(".docker/cli-plugins/docker-both"), "")
	program(t, at("one/both"), "")
	program(t, at("two/path"), "")
	program(t, at("extra/docker-more"), "")
	program(t, at("below/own"), "")
	program(t, at(".docker/cli-plugins/docker-plain"), "")
	if err := os.Chmod(at(".docker/cli-plugins/docker-plain"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := at(".docker/config.json")
	if err := os.WriteFile(config, []byte(`{"cliPluginsExtraDirs": ["`+at("extra")+`"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]string{
		"both": at(".docker/cli-plugins/docker-both"), "path": at("two/path"), "more": at("extra/docker-more"),
		"./below/own": at("below/own"), at("below/own"): at("below/own"), "plain": "", "./nothing": "", "docker-both": "",
	} {
		path, search := f.Find(kind, dir)
		if path != want {
			t.Errorf("%s is %q, want %q", kind, path, want)
		}
		if (path == "") != (search.Where != "") {
			t.Errorf("%s: searched %q", kind, search.Where)
		}
	}
	_, search := f.Find("pth", dir)
	if !slices.Contains(search.Known, "path") || !slices.Contains(search.Known, "more") || slices.Contains(search.Known, "plain") {
		t.Errorf("known are %q", search.Known)
	}
	if !strings.Contains(search.Where, "no docker-pth in "+at("extra")) || strings.Contains(search.Where, "relative") {
		t.Errorf("searched %s", search.Where)
	}
}

// call runs a script as a provider's program.
func call(t *testing.T, script string) (provider.Result, []string, error) {
	t.Helper()
	var said []string
	if !strings.Contains(script, "metadata") {
		script = `test "$2" = metadata && exit 1; ` + script
	}
	p := provider.Program{Path: program(t, filepath.Join(t.TempDir(), "cloud"), "#!/bin/sh\n"+script), Dir: t.TempDir(), Env: os.Environ()}
	m, err := p.Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	result, err := provider.Call{
		Program: p, Metadata: m, Project: "shop", Command: "up", Say: func(s string) { said = append(said, s) },
		Provider: pod.Provider{Service: "db", Type: "cloud", Config: `{"big":"` + strings.Repeat("x", 200_000) + `"}`,
			Options: []pod.ProviderOption{{Name: "class", Values: []string{"a b"}}, {Name: "size", Values: []string{"1", "2"}}}},
	}.Run(t.Context())
	return result, said, err
}

func TestRun(t *testing.T) {
	const heard = `echo "{\"type\":\"info\",\"message\":\"$*\"}"`
	for name, c := range map[string]struct {
		script string
		said   []string
		raw    map[string]string
		vars   map[string]string
		err    string
	}{
		"all options": {script: heard, said: []string{"compose --project-name=shop up --class=a b --size=1 --size=2 db"}},
		"declared": {script: `test "$2" = metadata && echo '{"up": {"parameters": [{"name": "size"}]}}' && exit; ` + heard,
			said: []string{"compose --project-name=shop up --size=1 --size=2 db"}},
		"none declared": {script: `test "$2" = metadata && echo '{"description": "d"}' && exit; ` + heard, said: []string{"compose --project-name=shop up db"}},
		"variables": {script: `printf '{"type":"setenv","message":"URL=a=b"}{"type":"rawsetenv",\n"message":"KEY="} {"type":"debug"}'`,
			vars: map[string]string{"URL": "a=b"}, raw: map[string]string{"KEY": ""}},
		"errors":         {script: `printf '%s' '{"type":"error","message":"one\n"}{"type":"error","message":"two"}'; exit 3`, err: "exited with 3: one\ntwo"},
		"error and zero": {script: `echo '{"type":"error","message":"one"}'`, err: `cannot bring up service "db": provider "cloud": one`},
		"standard error": {script: `echo why >&2; exit 4`, err: "exited with 4: why"},
		"silent":         {script: `exit 5`, err: "exited with 5"},
		"killed":         {script: `kill -KILL $$`, err: "killed by signal 9 (killed)"},
		"no JSON":        {script: `echo hello; exec sleep 100`, err: "what it writes is no JSON message"},
		"unknown type":   {script: `echo '{"type":"dance"}'; exec sleep 100`, err: `its message has an unknown type: "dance"`},
		"no variable":    {script: `echo '{"type":"setenv","message":"URL"}'; exec sleep 100`, err: `no NAME=VALUE: "URL"`},
		"configuration":  {script: `echo '{"type":"get-service-config"}{"type":"get-service-config"}'; read -r a; read -r b; test ${#a} -gt 200000 && test "$a" = "$b"`},
		"never reads":    {script: `echo '{"type":"get-service-config"}'`},
	} {
		t.Run(name, func(t *testing.T) {
			result, said, err := call(t, c.script)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("the error is %v, want %q", err, c.err)
			}
			if !slices.Equal(said, c.said) && len(c.said) > 0 {
				t.Errorf("said %q, want %q", said, c.said)
			}
			if c.vars != nil && !reflect.DeepEqual(result, provider.Result{Variables: c.vars, Raw: c.raw}) {
				t.Errorf("gave %v", result)
			}
		})
	}
}

// TestCancel: a program is asked to end when its caller is.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := filepath.Join(t.TempDir(), "gone")
	p := provider.Program{Path: program(t, filepath.Join(t.TempDir(), "cloud"),
		"#!/bin/sh\ntrap 'echo asked > "+gone+"; exit' TERM\necho '{\"type\":\"info\"}'\nwhile :; do sleep 0.01; done\n"), Dir: "/", Env: os.Environ()}
	why := errors.New("enough")
	_, err := provider.Call{Program: p, Command: "up", Say: func(string) { cancel(why) }}.Run(ctx)
	if !errors.Is(err, why) {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(gone); err != nil {
		t.Error("the program was not asked to end")
	}
	if _, err := p.Metadata(ctx); !errors.Is(err, why) {
		t.Errorf("the error of a question after the end is %v", err)
	}
}

func TestMetadata(t *testing.T) {
	p := pod.Provider{Options: []pod.ProviderOption{{Name: "size"}, {Name: "sice"}}}
	m := provider.Metadata{
		Up:   provider.Command{Parameters: []provider.Parameter{{Name: "size", Required: true}, {Name: "class", Required: true}, {Name: "zone"}}},
		Down: provider.Command{Parameters: []provider.Parameter{{Name: "name", Required: true}}},
	}
	for command, want := range map[string][]string{"up": {"class"}, "down": {"name"}, "stop": nil} {
		if got := m.Missing(command, p); !slices.Equal(got, want) {
			t.Errorf("%s misses %q, want %q", command, got, want)
		}
	}
	unknown, known := m.Unknown(p)
	if !slices.Equal(unknown, []string{"sice"}) || !slices.Equal(known, []string{"class", "name", "size", "zone"}) {
		t.Errorf("unknown are %q of %q", unknown, known)
	}
	if unknown, _ := (provider.Metadata{}).Unknown(p); unknown != nil {
		t.Errorf("a program that says nothing does not take %q", unknown)
	}
}
