package load

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	text := "name: shop\nservices:\n  web:\n    image: nginx:${TAG:-1}\n    secrets: [pw]\nsecrets:\n  pw: {environment: PW}\n"
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := Load(context.Background(), Options{Cwd: dir, Environment: map[string]string{"PW": "hidden"}})
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[Format]string{YAML: "image: nginx:1\n", JSON: `"image": "nginx:1"`} {
		out, err := Config(p, format)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(out), want) || strings.Contains(string(out), "hidden") {
			t.Errorf("as %s:\n%s", format, out)
		}
	}
	if _, err := Config(p, "toml"); err == nil || !strings.Contains(err.Error(), "yaml and json") {
		t.Errorf("as toml: %v", err)
	}
}

func TestConfigLoadsAgain(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(fiveServices), 0o644); err != nil {
		t.Fatal(err)
	}
	opts := Options{Cwd: dir, Environment: map[string]string{"PW": "x"}}
	p, err := Load(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Config(p, YAML)
	if err != nil {
		t.Fatal(err)
	}
	opts.Files, opts.Stdin = []string{"-"}, strings.NewReader(string(first))
	p, err = Load(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Config(p, YAML)
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Errorf("first:\n%s\nsecond:\n%s", first, second)
	}
}

func TestHash(t *testing.T) {
	dir := t.TempDir()
	hash := func(service string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte("services:\n  db: {image: db}\n  web: "+service+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := Load(context.Background(), Options{Cwd: dir})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := Hash(p.Model.Services["web"])
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	base := hash("{image: a}")
	for _, same := range []string{"{image: a, scale: 2}", "{image: a, depends_on: [db]}", "{image: a, pull_policy: always}"} {
		if hash(same) != base {
			t.Errorf("%s has another hash", same)
		}
	}
	for _, other := range []string{"{image: b}", "{image: a, environment: {A: b}}", "{image: a, command: run}"} {
		if hash(other) == base {
			t.Errorf("%s has the same hash", other)
		}
	}
}

// TestFound finds projects by the rules of docker compose: names, folders above, override files and the variables of the environment and of .env.
func TestFound(t *testing.T) {
	service := func(name string) string { return "services: {" + name + ": {image: " + name + "}}\n" }
	for name, c := range map[string]struct {
		files map[string]string
		opts  Options
		want  string
	}{
		"plain":          {files: map[string]string{"compose.yaml": service("a")}, want: "root: a"},
		"order of names": {files: map[string]string{"docker-compose.yml": service("b"), "compose.yml": service("a")}, want: "root: a"},
		"folder above":   {files: map[string]string{"compose.yaml": service("a"), "x/y/f": ""}, opts: Options{Cwd: "x/y"}, want: "root: a"},
		"override":       {files: map[string]string{"compose.yaml": service("a"), "compose.override.yaml": service("b")}, want: "root: a b"},
		"no override":    {files: map[string]string{"compose.yaml": service("a"), "compose.override.yaml": service("b")}, opts: Options{Files: []string{"compose.yaml"}}, want: "root: a"},
		"several":        {files: map[string]string{"x/a.yaml": service("a"), "b.yaml": service("b")}, opts: Options{Files: []string{"x/a.yaml", "b.yaml"}}, want: "x: a b"},
		"name":           {files: map[string]string{"compose.yaml": "name: ${N:-named}\n" + service("a")}, want: "named: a"},
		"name wins":      {files: map[string]string{"compose.yaml": "name: named\n" + service("a")}, opts: Options{Name: "given", Environment: map[string]string{"COMPOSE_PROJECT_NAME": "env"}}, want: "given: a"},
		"name of env":    {files: map[string]string{"compose.yaml": "name: named\n" + service("a"), ".env": "COMPOSE_PROJECT_NAME=env\n"}, want: "env: a"},
		"directory":      {files: map[string]string{"x/f": "", "a.yaml": service("a")}, opts: Options{Files: []string{"a.yaml"}, Dir: "x"}, want: "x: a"},
		"files of env":   {files: map[string]string{"a.yaml": service("a"), "b.yaml": service("b"), ".env": "COMPOSE_FILE=a.yaml,b.yaml\nCOMPOSE_PATH_SEPARATOR=,\n"}, want: "root: a b"},
		"profile":        {files: map[string]string{"compose.yaml": "services: {a: {image: a}, b: {image: b, profiles: [p]}}"}, want: "root: a"},
		"profile of env": {files: map[string]string{"compose.yaml": "services: {a: {image: a}, b: {image: b, profiles: [p]}}"}, opts: Options{Environment: map[string]string{"COMPOSE_PROFILES": "q, p"}}, want: "root: a b"},
		"named service":  {files: map[string]string{"compose.yaml": "services: {a: {image: a}, b: {image: b, profiles: [p]}}"}, opts: Options{Services: []string{"b"}}, want: "root: a b"},
		"env file":       {files: map[string]string{"compose.yaml": service("a"), "e": "COMPOSE_PROJECT_NAME=e\n"}, opts: Options{EnvFiles: []string{"e"}}, want: "e: a"},
		"two documents":  {files: map[string]string{"compose.yaml": service("a") + "---\n" + service("b")}, want: "root: a b"},
		"anchors":        {files: map[string]string{"compose.yaml": "x-s: &s {image: i}\nservices: {a: *s, b: {<<: *s, command: c}, c: {<<: [*s]}}\n"}, want: "root: a b c"},
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			for file, text := range c.files {
				path := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			c.opts.Cwd = filepath.Join(root, c.opts.Cwd)
			got := ""
			if p, err := Load(context.Background(), c.opts); err == nil {
				got = p.Name + ": " + strings.Join(p.Model.ServiceNames(), " ")
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
