package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestVariables sets each variable of docs/environment.md, in the environment and in .env, and looks at what it changed.
func TestVariables(t *testing.T) {
	tests := map[string]struct {
		// set are variables, want stands in the output of run then and not before.
		set, run, want string
	}{
		"COMPOSE_FILE":                    {"COMPOSE_FILE=other.yaml", "config --services", "other"},
		"COMPOSE_PATH_SEPARATOR":          {"COMPOSE_FILE=compose.yaml;other.yaml COMPOSE_PATH_SEPARATOR=;", "config --services", "other"},
		"COMPOSE_PROJECT_NAME":            {"COMPOSE_PROJECT_NAME=named", "config", "name: named"},
		"COMPOSE_PROJECT_DIR":             {"COMPOSE_PROJECT_DIR=sub", "config", "/sub/rel"},
		"COMPOSE_PROFILES":                {"COMPOSE_PROFILES=p,q", "config --services", "hidden"},
		"COMPOSE_ENV_FILES":               {"COMPOSE_ENV_FILES=x.env,y.env", "config", "tag:fromfile"},
		"COMPOSE_PARALLEL_LIMIT":          {"COMPOSE_PARALLEL_LIMIT=many", "config", "COMPOSE_PARALLEL_LIMIT"},
		"COMPOSE_ANSI":                    {"COMPOSE_ANSI=sometimes", "config", "--ansi"},
		"COMPOSE_PROGRESS":                {"COMPOSE_PROGRESS=loud", "config", "--progress"},
		"COMPOSE_REMOVE_ORPHANS":          {"COMPOSE_REMOVE_ORPHANS=1", "down --help", "(default true)"},
		"COMPOSE_IGNORE_ORPHANS":          {"COMPOSE_IGNORE_ORPHANS=1 COMPOSE_REMOVE_ORPHANS=1", "up", "contradict"},
		"COMPOSE_COMPATIBILITY":           {"COMPOSE_COMPATIBILITY=1", "config", "/rel\n"},
		"COMPOSE_STATUS_STDOUT":           {"COMPOSE_STATUS_STDOUT=1", "config", "warning:"},
		"COMPOSE_EXPERIMENTAL_GIT_REMOTE": {"COMPOSE_EXPERIMENTAL_GIT_REMOTE=0", "-f file:///nowhere/x config", "switches that off"},
		"COMPOSE_EXPERIMENTAL_OCI_REMOTE": {"COMPOSE_EXPERIMENTAL_OCI_REMOTE=0", "-f oci://127.0.0.1:1/x config", "switches that off"},
		"COMPOSE_DISABLE_ENV_FILE":        {"COMPOSE_DISABLE_ENV_FILE=1", "config", "tag:none"},
	}
	doc, err := os.ReadFile("../../../docs/environment.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(COMPOSE_[A-Z_]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(doc), -1) {
		if m[1] == "COMPOSE_MENU" {
			continue // it needs a terminal: up-menu.txtar
		}
		if _, ok := tests[m[1]]; !ok && !strings.HasPrefix(m[2], "does not apply") {
			t.Errorf("%s has no test", m[1])
		}
	}
	for name, test := range tests {
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("%s is not in docs/environment.md", name)
		}
		for _, place := range []string{"environment", ".env"} {
			if place == ".env" && (name == "COMPOSE_ENV_FILES" || name == "COMPOSE_DISABLE_ENV_FILE" || name == "COMPOSE_PROJECT_DIR") {
				continue // they decide which .env is read
			}
			t.Run(name+" in "+place, func(t *testing.T) {
				plain, set := variables(t, "", place, test.run), variables(t, test.set, place, test.run)
				if name == "COMPOSE_COMPATIBILITY" { // takes away instead
					plain, set = set, plain
					test.want = "networks:"
				}
				if plain == set || strings.Contains(plain, test.want) || !strings.Contains(set, test.want) {
					t.Errorf("without:\n%s\nwith:\n%s\nwant %q", plain, set, test.want)
				}
			})
		}
	}
}

// variables is what a command line prints to standard output, and its error if it fails, with variables set.
func variables(t *testing.T, set, place, line string) string {
	dir := filepath.Join(t.TempDir(), "shop")
	var c corpusCase
	files := map[string]string{
		"compose.yaml": "services:\n  web: {image: \"tag:${T:-none}\", volumes: [\"./rel:/rel\", {type: bind, source: 'c:\\data', target: /d}], labels: [\"l=${UNSET}\"]}\n" +
			"  hidden: {image: h, profiles: [q]}\n",
		"other.yaml": "services:\n  other: {image: o}\n", "x.env": "T=first\n", "y.env": "T=fromfile\n", "sub/compose.yaml": "services:\n  web: {image: x, volumes: [\"./rel:/rel\"]}\n",
		".env": "T=dotenv\n",
	}
	if place == ".env" {
		files[".env"] += strings.ReplaceAll(set, " ", "\n") + "\n"
	} else {
		c.env = strings.Fields(set)
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	out, errors := c.pcompose(t, dir, line)
	if strings.HasPrefix(out, "exit 0") {
		return out
	}
	return errors
}
