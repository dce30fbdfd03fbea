package load

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/compose"
)

// shelf has what references name in folders; it counts how often each is fetched.
type shelf struct {
	dir     string
	fetched map[string]int
}

func (s shelf) Accepts(reference string) bool { return strings.HasPrefix(reference, "far://") }

func (s shelf) Fetch(_ context.Context, reference string) (file, root string, err error) {
	s.fetched[reference]++
	root = filepath.Join(s.dir, strings.TrimPrefix(reference, "far://"))
	if _, err := os.Stat(root); err != nil {
		return "", "", errors.New("nobody has it")
	}
	return filepath.Join(root, "compose.yaml"), root, nil
}

// files writes files below a new folder; a content that starts with -> is a link.
func files(t *testing.T, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range contents {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if target, link := strings.CutPrefix(content, "->"); link {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// loadFar loads files of the folder home, with the folder far beside it as what is elsewhere.
func loadFar(t *testing.T, dir string, files ...string) (*compose.Project, shelf, error) {
	t.Helper()
	s := shelf{filepath.Join(dir, "far"), map[string]int{}}
	project, err := Load(t.Context(), Options{Files: files, Cwd: filepath.Join(dir, "home"), Remotes: []Remote{s}})
	return project, s, err
}

func TestRemoteMainFile(t *testing.T) {
	dir := files(t, map[string]string{
		"far/app/compose.yaml": "include: [far://db]\nservices:\n  web:\n    extends: {file: base.yaml, service: base}\n    env_file: web.env\n",
		"far/app/base.yaml":    "services:\n  base:\n    image: nginx\n    volumes: [./data:/data]\n",
		"far/app/web.env":      "WEB=1\n",
		"far/app/.env":         "NOT=read\n",
		"far/db/compose.yaml":  "services:\n  db:\n    image: ${DB:-postgres}\n    env_file: db.env\n",
		"far/db/db.env":        "INSIDE=2\n",
		"far/db/.env":          "DB=mysql\n",
		"home/mine.yaml":       "services:\n  web:\n    labels: {mine: yes}\n",
	})
	project, s, err := loadFar(t, dir, "far://app", "mine.yaml")
	if err != nil {
		t.Fatal(err)
	}
	web, db := project.Model.Services["web"], project.Model.Services["db"]
	if project.Name != "home" || project.Dir != filepath.Join(dir, "far/app") {
		t.Errorf("project %q in %q", project.Name, project.Dir)
	}
	if *web.Environment["WEB"] != "1" || web.Image != "nginx" || web.Volumes[0].Source != filepath.Join(dir, "far/app/data") || web.Labels["mine"] != "yes" {
		t.Errorf("web is %+v", web)
	}
	if db.Image != "mysql" || *db.Environment["INSIDE"] != "2" {
		t.Errorf("db is %+v", db)
	}
	if at := project.At("services.db.image"); at.String() != "../far/db/compose.yaml:3:5" {
		t.Errorf("db is at %s", at)
	}
	if len(project.Remotes) != 2 || !project.Remotes[0].Main || project.Remotes[1].Main || project.Remotes[1].Reference != "far://db" {
		t.Errorf("remotes are %+v", project.Remotes)
	}
	if _, set := project.Model.Environment["NOT"]; set {
		t.Error("the .env of what is elsewhere was read")
	}
	for reference, times := range s.fetched {
		if times != 1 {
			t.Errorf("%s was fetched %d times", reference, times)
		}
	}
}

func TestRemoteExtends(t *testing.T) {
	dir := files(t, map[string]string{
		"far/app/compose.yaml": "services:\n  base:\n    image: nginx\n    env_file: base.env\n",
		"far/app/base.env":     "BASE=1\n",
		"home/compose.yaml":    "services:\n  web:\n    extends: {file: far://app, service: base}\n",
	})
	project, _, err := loadFar(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if web := project.Model.Services["web"]; web.Image != "nginx" || *web.Environment["BASE"] != "1" {
		t.Errorf("web is %+v", web)
	}
}

func TestRemoteReadsNothingElse(t *testing.T) {
	for name, text := range map[string]string{
		"absolute env file":     "services: {web: {image: x, env_file: SECRET}}",
		"path that leads out":   "services: {web: {image: x, env_file: ../../home/secret}}",
		"link that leads out":   "services: {web: {image: x, env_file: link}}",
		"link of a folder":      "services: {web: {image: x, env_file: out/secret}}",
		"long form, optional":   "services: {web: {image: x, env_file: [{path: SECRET, required: false}]}}",
		"variable":              "services: {web: {image: x, env_file: \"${NONE:-SECRET}\"}}",
		"label file":            "services: {web: {image: x, label_file: [SECRET]}}",
		"hook":                  "services: {web: {image: x, pre_start: [{command: x, env_file: SECRET}]}}",
		"secret":                "services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {file: SECRET}}",
		"home":                  "services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {file: ~/secret}}",
		"config":                "services: {web: {image: x, configs: [s]}}\nconfigs: {s: {file: SECRET}}",
		"include":               "include: [SECRET]\nservices: {web: {image: x}}",
		"include's env file":    "include: [{path: ok.yaml, env_file: SECRET}]\nservices: {web: {image: x}}",
		"include's folder":      "include: [{path: ok.yaml, project_directory: HOME}]\nservices: {web: {image: x}}",
		"extends":               "services: {web: {image: x, extends: {file: SECRET, service: web}}}",
		"extended service":      "services: {web: {extends: {file: bad.yaml, service: web}}}",
		"included service":      "include: [bad.yaml]\nservices: {x: {image: x}}",
		"link to the main file": "->../../home/secret",
	} {
		t.Run(name, func(t *testing.T) {
			dir := files(t, map[string]string{
				"home/secret": "services: {web: {image: secret}}\n", "home/.env": "IT=is secret\n",
				"far/app/link": "->../../home/secret", "far/app/out": "->../../home",
				"far/app/ok.yaml": "services: {}\n", "far/app/bad.yaml": "services: {web: {image: x, env_file: ../../home/secret}}\n",
			})
			text = strings.NewReplacer("SECRET", filepath.Join(dir, "home/secret"), "HOME", filepath.Join(dir, "home")).Replace(text)
			path := filepath.Join(dir, "far/app/compose.yaml")
			var err error
			if target, link := strings.CutPrefix(text, "->"); link {
				err = os.Symlink(target, path)
			} else {
				err = os.WriteFile(path, []byte(text), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = loadFar(t, dir, "far://app")
			if err == nil || !strings.Contains(err.Error(), "a file from elsewhere may not name") && !strings.Contains(err.Error(), "leads out") {
				t.Fatalf("got %v", err)
			}
			// The user's own file may say what it likes.
			if _, _, err := loadFar(t, dir, filepath.Join(dir, "home/secret")); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRemoteOwnFileNamesWhatItLikes(t *testing.T) {
	dir := files(t, map[string]string{
		"far/app/compose.yaml": "services:\n  web:\n    image: x\n",
		"home/mine.env":        "MINE=1\n",
	})
	mine := filepath.Join(dir, "home/mine.yaml")
	text := "services:\n  web:\n    env_file: " + filepath.Join(dir, "home/mine.env") + "\n"
	if err := os.WriteFile(mine, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	project, _, err := loadFar(t, dir, "far://app", "mine.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if web := project.Model.Services["web"]; *web.Environment["MINE"] != "1" {
		t.Errorf("web is %+v", web)
	}
}

func TestRemoteThatIsNotThere(t *testing.T) {
	dir := files(t, map[string]string{"home/compose.yaml": "include:\n  - far://user:word@nowhere\nservices: {web: {image: x}}\n"})
	for file, want := range map[string]string{
		"compose.yaml": "compose.yaml:2:5: include[0]: cannot fetch far://xxxxx@nowhere: nobody has it",
		"far://none":   "cannot fetch far://none: nobody has it",
	} {
		_, s, err := loadFar(t, dir, file)
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v", file, err)
		}
		for reference, times := range s.fetched {
			if times != 1 {
				t.Errorf("%s was fetched %d times", reference, times)
			}
		}
	}
}

// interrupted ends the context that it is asked in.
type interrupted struct{ end func(error) }

func (interrupted) Accepts(reference string) bool { return strings.HasPrefix(reference, "far://") }

func (i interrupted) Fetch(ctx context.Context, _ string) (file, root string, err error) {
	i.end(errors.New("by a signal"))
	return "", "", context.Cause(ctx)
}

func TestRemoteInterrupted(t *testing.T) {
	dir := files(t, map[string]string{"compose.yaml": "include: [far://x]\n"})
	for _, file := range []string{"compose.yaml", "far://x"} {
		ctx, end := context.WithCancelCause(t.Context())
		_, err := Load(ctx, Options{Files: []string{file}, Cwd: dir, Remotes: []Remote{interrupted{end}}})
		if err == nil || err.Error() != "by a signal" {
			t.Errorf("%s: got %v", file, err)
		}
	}
}

// endless has files that include one more each.
type endless struct{ dir string }

func (endless) Accepts(reference string) bool { return strings.HasPrefix(reference, "far://") }

func (e endless) Fetch(_ context.Context, reference string) (file, root string, err error) {
	root = filepath.Join(e.dir, strconv.Itoa(len(reference)))
	file = filepath.Join(root, "compose.yaml")
	return file, root, errors.Join(os.MkdirAll(root, 0o755), os.WriteFile(file, []byte("include: ["+reference+"x]\n"), 0o600))
}

func TestRemoteWithoutEnd(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(t.Context(), Options{Files: []string{"far://x"}, Cwd: dir, Remotes: []Remote{endless{dir}}})
	if err == nil || !strings.Contains(err.Error(), "deeper than") {
		t.Fatalf("got %v", err)
	}
}
