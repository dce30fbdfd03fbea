package load

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const portable = `
name: shop
services:
  web:
    image: web:1
    platform: linux/arm64
    env_file: web.env
    label_file: web.labels
    environment: {PRICE: "5$$"}
    pull_policy: always
    volumes:
      - ./site:/site:ro
      - ./site/deep:/deep
      - ./new:/new
      - ./out:/out:ro
      - /etc/hosts:/hosts:ro
      - data:/data
      - {type: image, source: files:1, target: /files}
    configs: [file, variable]
    secrets: [key, token]
    pre_start:
      - {image: hook:1, command: "true", volumes: ["./hook:/hook:ro"]}
  api:
    build: .
    develop: {watch: [{path: ., action: rebuild}]}
configs:
  file: {file: motd}
  variable: {environment: MOTD}
secrets:
  key: {file: key}
  token: {environment: TOKEN}
volumes:
  data:
  disk: {driver_opts: {type: none, o: bind, device: /srv}}
  other: {external: true}
`

// portableFolder is a folder with the project above.
func portableFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"compose.yaml": portable, "web.env": "FILE=yes", "web.labels": "label=yes", "motd": "hello", "key": "hush",
		"site/index.html": "a page", "site/deep/er": "x", "hook/run": "x"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCarry(t *testing.T) {
	dir := portableFolder(t)
	project, err := Load(context.Background(), Options{Cwd: dir, Environment: map[string]string{"MOTD": "hi", "TOKEN": "hush"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, secrets := range []bool{false, true} {
		p, err := Carry(project, secrets)
		if err != nil {
			t.Fatal(err)
		}
		var files, images, left []string
		for _, f := range p.Files {
			files = append(files, f.Name)
		}
		pinned := map[string]string{}
		for _, i := range p.Images {
			images = append(images, strings.TrimSpace(i.Ref+" "+i.Platform))
			pinned[i.Ref] = "docker.io/library/" + i.Ref + "@sha256:" + strings.Repeat("0", 64)
		}
		for _, l := range p.Left {
			left = append(left, l.Message)
		}
		want := []string{"configs/file", "files/hook", "files/site"}
		if secrets {
			want = append(want, "secrets/key", "secrets/token")
		}
		if !slices.Equal(files, want) {
			t.Errorf("files %v, want %v", files, want)
		}
		if want := []string{"files:1 linux/arm64", "hook:1 linux/arm64", "shop-api", "web:1 linux/arm64"}; !slices.Equal(images, want) {
			t.Errorf("images %v, want %v", images, want)
		}
		if secrets != (len(p.Missing)+len(p.Variables) == 0) {
			t.Errorf("missing %v, %v", p.Missing, p.Variables)
		}
		for _, text := range []string{`"/etc/hosts" is not in the project's folder`, `out" is a link out of the project's folder`, `"/srv" is not carried along`, "site/deep\" is carried along as it is now"} {
			if !slices.ContainsFunc(left, func(l string) bool { return strings.Contains(l, text) }) {
				t.Errorf("no word of %s in\n%s", text, strings.Join(left, "\n"))
			}
		}
		text, err := p.Compose(pinned)
		if err != nil {
			t.Fatal(err)
		}
		for _, not := range []string{dir + "/site", "build:", "develop:", "env_file", "label_file", "always", "shop_data", "hush"} {
			if strings.Contains(string(text), not) {
				t.Errorf("%q is in\n%s", not, text)
			}
		}
		for _, have := range []string{"PRICE: 5$$", "FILE: \"yes\"", "label: \"yes\"", "source: ./files/site/deep", "file: ./configs/file", "content: hi", "file: ./secrets/key", "source: /etc/hosts", "files:1@sha256:"} {
			if !strings.Contains(string(text), have) {
				t.Errorf("%q is not in\n%s", have, text)
			}
		}
		// What is written can be read, and says the same.
		there := t.TempDir()
		for name, content := range map[string]string{"compose.yaml": string(text), "configs/file": "hello", "secrets/key": "hush", "secrets/token": "hush"} {
			if err := os.MkdirAll(filepath.Join(there, filepath.Dir(name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(there, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		again, err := Load(context.Background(), Options{Cwd: there, Name: "other", Environment: map[string]string{"TOKEN": "hush"}})
		if err != nil {
			t.Fatal(err)
		}
		if name := again.Model.Volumes["data"].Name; name != "other_data" {
			t.Errorf("the volume of the project other is %q", name)
		}
		for key, want := range project.Digests {
			if got := again.Digests[key]; got != want {
				t.Errorf("%s: %s, was %s", key, got, want)
			}
		}
	}
	if s := project.Model.Services["web"]; s.Volumes[0].Source != filepath.Join(dir, "site") || s.PullPolicy != "always" {
		t.Errorf("the project was changed: %+v", s)
	}
}
