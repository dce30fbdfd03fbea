package load

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// publishHere publishes the compose.yaml of the folder home, with the folder far beside it as what is elsewhere.
func publishHere(t *testing.T, dir string) ([]PublishedFile, error) {
	t.Helper()
	s := shelf{filepath.Join(dir, "far"), map[string]int{}}
	return Publish(t.Context(), Options{Files: []string{"compose.yaml"}, Cwd: filepath.Join(dir, "home"), Remotes: []Remote{s}})
}

func TestPublishAndLoadElsewhere(t *testing.T) {
	dir := files(t, map[string]string{
		"home/compose.yaml": `x-env: &env parts/web.env # a comment
services:
  web:
    extends: {file: parts/base.yaml, service: base}
    env_file: *env
    environment: {KEPT: "${KEPT:-yes it is}"}
    labels: !override {a: b}
  again:
    image: nginx
    env_file: [*env, {path: none.env, required: false}]
  far:
    extends: {file: far://app, service: far}
---
services:
  web:
    hostname: second
`,
		"home/parts/base.yaml":      "services:\n  base:\n    extends: {file: deep/base.yaml, service: deep}\n    env_file: base.env\n",
		"home/parts/deep/base.yaml": "services:\n  deep:\n    image: deep\n",
		"home/parts/base.env":       "BASE=1\n", "home/parts/web.env": "WEB=2\n",
		"far/app/compose.yaml": "services:\n  far:\n    image: far\n",
	})
	published, err := publishHere(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	kinds := ""
	for _, f := range published {
		kinds += string(f.Kind) + " "
		if strings.Contains(string(f.Content), "parts/") {
			t.Errorf("%s names a folder:\n%s", f.Name, f.Content)
		}
		if err := os.WriteFile(filepath.Join(dir, "far", f.Name), f.Content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if kinds != "main extended extended env env " {
		t.Errorf("published %s", kinds)
	}
	if text := string(published[0].Content); !strings.Contains(text, "# a comment") || !strings.Contains(text, "${KEPT:-yes it is}") {
		t.Errorf("it was written anew as\n%s", text)
	}
	project, _, err := loadFar(t, dir, "far://")
	if err != nil {
		t.Fatal(err)
	}
	web := project.Model.Services["web"]
	if web.Image != "deep" || *web.Environment["WEB"] != "2" || *web.Environment["BASE"] != "1" || *web.Environment["KEPT"] != "yes it is" || web.Hostname != "second" {
		t.Errorf("web is %+v", web)
	}
	if again := project.Model.Services["again"]; *again.Environment["WEB"] != "2" {
		t.Errorf("again is %+v", again)
	}
}

func TestPublishLeavesAsIs(t *testing.T) {
	text := "# first\nservices:\n    web:   {image:  x}   # odd\n"
	published, err := publishHere(t, files(t, map[string]string{"home/compose.yaml": text}))
	if err != nil || len(published) != 1 || string(published[0].Content) != text || published[0].Name != "compose.yaml" {
		t.Errorf("got %q, %v", published, err)
	}
}

func TestPublishRefusesLocalIncludes(t *testing.T) {
	dir := files(t, map[string]string{
		"home/compose.yaml":    "include:\n  - far://app\n  - {path: far://app, env_file: x.env}\n  - x.yaml\n",
		"home/x.yaml":          "services: {x: {image: x}}\n",
		"home/x.env":           "X=1\n",
		"far/app/compose.yaml": "services: {far: {image: x}}\n",
	})
	_, err := publishHere(t, dir)
	if err == nil || strings.Count(err.Error(), "local includes") != 2 || !strings.Contains(err.Error(), "compose.yaml:4:5: include[2]: cannot publish") {
		t.Errorf("got %v", err)
	}
}
