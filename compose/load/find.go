package load

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/dotenv"

	"github.com/pcompose/pcompose/compose"
)

// defaultFiles and overrideFiles are the names looked for, the first found wins, as in compose-go's cli package.
func defaultFiles() []string {
	return []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}
}

func overrideFiles() []string {
	return []string{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"}
}

// origin is where a project comes from.
type origin struct {
	// env is the environment with the env files below it, dir the project directory, files the main files.
	env   map[string]string
	dir   string
	files []string
	// roots are the folders that remote main files came with, by the file.
	roots map[string]string
	// start is the folder that the project is named after.
	start string
}

// find decides the files, the project directory and the environment. The order is docker compose's: .env beside the
// working directory may name the files (COMPOSE_FILE); .env of the project directory comes after, and changes nothing set before.
func (l *loading) find(ctx context.Context) origin {
	opts, r := l.opts, l.report
	o := origin{env: maps.Clone(opts.Environment), roots: map[string]string{}}
	if o.env == nil {
		o.env = map[string]string{}
	}
	start := opts.start()
	o.start = start
	addEnvFiles(o.env, start, opts, r)
	given := opts.Files
	if list := o.env[consts.ComposeFilePath]; len(given) == 0 && list != "" {
		separator := o.env[consts.ComposePathSeparator]
		if separator == "" {
			separator = string(os.PathListSeparator)
		}
		given = splitList(list, separator)
	}
	remote := "" // the folder of the first remote file
	for _, f := range given {
		if !l.remotes.accepts(f) {
			o.files = append(o.files, abs(opts.Cwd, f))
			continue
		}
		copied, err := l.remotes.fetch(ctx, f, true)
		if err != nil {
			r.problem(compose.Position{}, "", fmt.Sprintf("cannot fetch %s: %s", compose.Redact(f), err), "")
			continue
		}
		o.files, o.roots[copied.file] = append(o.files, copied.file), copied.root
		remote = cmp.Or(remote, filepath.Dir(copied.file))
	}
	if len(given) == 0 {
		o.files = discover(start, r)
	}
	switch first := firstFile(o.files); {
	case opts.Dir != "":
		o.dir = start
	case remote != "":
		// As in docker compose: its relative paths mean what came with it. Neither its .env nor its folder's name, which
		// is a number, count for the project.
		o.dir = remote
		return o
	case first != "":
		o.dir = filepath.Dir(first)
	default:
		o.dir = opts.Cwd
	}
	o.start = o.dir
	if o.dir != start && len(opts.EnvFiles) == 0 {
		addEnvFiles(o.env, o.dir, opts, r)
	}
	return o
}

// start is the folder whose .env may name the files.
func (opts Options) start() string {
	if opts.Dir != "" {
		return abs(opts.Cwd, opts.Dir)
	}
	if first := firstFile(opts.Files); first != "" && !(&remotes{kinds: opts.Remotes}).accepts(first) {
		return filepath.Dir(abs(opts.Cwd, first))
	}
	return opts.Cwd
}

// DotEnv has the variables of the env files that are known before the Compose files are found: those of EnvFiles, else of
// .env. Files that cannot be read have none; Load says what is wrong with them.
func DotEnv(opts Options) map[string]string {
	env := maps.Clone(opts.Environment)
	addEnvFiles(env, opts.start(), opts, &report{cwd: opts.Cwd})
	for name := range opts.Environment {
		delete(env, name)
	}
	return env
}

// firstFile is the first that is not standard input, "" for none.
func firstFile(files []string) string {
	for _, f := range files {
		if f != "-" {
			return f
		}
	}
	return ""
}

// discover looks for the usual names in dir and the folders above it.
func discover(dir string, r *report) []string {
	for at := dir; ; at = filepath.Dir(at) {
		if found := present(at, defaultFiles()); len(found) > 0 {
			if len(found) > 1 {
				r.warn(compose.Position{File: found[0]}, "", "there are several Compose files here, this one is used", "choose one with -f")
			}
			files := found[:1]
			if over := present(at, overrideFiles()); len(over) > 0 {
				files = append(files[:1:1], over[0])
			}
			return files
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	r.problem(compose.Position{}, "", fmt.Sprintf("no Compose file: none of %s in %s or a folder above it", strings.Join(defaultFiles(), ", "), dir),
		"name one with -f, or change to the project's folder")
	return nil
}

// present are the files of names that are in dir, in the order of names.
func present(dir string, names []string) []string {
	var found []string
	for _, name := range names {
		if path := filepath.Join(dir, name); isFile(path) {
			found = append(found, path)
		}
	}
	return found
}

// addEnvFiles adds the variables of --env-file, else of .env in dir, to the environment; what is set already stays.
func addEnvFiles(env map[string]string, dir string, opts Options, r *report) {
	var files []string
	for _, f := range opts.EnvFiles {
		files = append(files, abs(opts.Cwd, f))
	}
	off, _ := strconv.ParseBool(env[consts.ComposeDisableDefaultEnvFile])
	if path := filepath.Join(dir, ".env"); len(files) == 0 && !off && isFile(path) {
		files = []string{path}
	}
	merge(env, readEnv(env, files, compose.Problem{}, r))
}

// merge adds what is not set yet.
func merge(env, more map[string]string) {
	for k, v := range more {
		if _, set := env[k]; !set {
			env[k] = v
		}
	}
}

// readEnv reads env files in order, the later over the earlier; env and earlier files are what their variables expand to.
// What cannot be read is a problem at the place of the reference.
func readEnv(env map[string]string, files []string, reference compose.Problem, r *report) map[string]string {
	vars := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			var path *os.PathError
			if errors.As(err, &path) {
				err = path.Err
			}
			p := reference
			p.Message = fmt.Sprintf("cannot read the env file %q: %s", r.short(file), plain(err))
			r.problems = append(r.problems, p)
			continue
		}
		known := maps.Clone(vars)
		found, err := dotenv.ParseWithLookup(bytes.NewReader(content), func(name string) (string, bool) {
			if v, ok := env[name]; ok {
				return v, true
			}
			v, ok := known[name]
			return v, ok
		})
		if err != nil {
			r.envSyntax(file, err)
			continue
		}
		maps.Copy(vars, found)
	}
	return vars
}

// envSyntax records an error of the dotenv parser; its text starts with the line.
func (r *report) envSyntax(file string, err error) {
	at, text := compose.Position{File: file}, err.Error()
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, tail, ok := strings.Cut(rest, ": "); ok {
			at.Line, _ = strconv.Atoi(number)
			text = tail
		}
	}
	if at.Line == 0 {
		at.Line = 1
	}
	r.problem(at, "", text, "write NAME=VALUE, one a line")
}

// splitList splits a list of the environment; empty items mean nothing.
func splitList(list, separator string) []string {
	var items []string
	for _, s := range strings.Split(list, separator) {
		if s = strings.TrimSpace(s); s != "" {
			items = append(items, s)
		}
	}
	return items
}
