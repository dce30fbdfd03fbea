// Package load is the way from Compose files to a Project through compose-go, with every problem at its file:line:column.
package load

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
)

// Options say which project to load. The zero value with Cwd finds the project as docker compose does.
type Options struct {
	// Files as given by -f, "-" for Stdin; none means COMPOSE_FILE, else the usual names in Cwd or Dir and the folders above.
	Files []string
	// Dir is the project directory; "" is that of the first file.
	Dir string
	// Name of the project; "" means COMPOSE_PROJECT_NAME, name: in the files, the directory's name.
	Name string
	// Profiles enabled; none means COMPOSE_PROFILES.
	Profiles []string
	// EnvFiles are given by --env-file; none means .env in the project directory, where there is one.
	EnvFiles []string
	// Environment of the caller. It is all that is ever looked up: the process's own is not.
	Environment map[string]string
	// Services named by the caller: their profiles are enabled. The others stay in the model.
	Services []string
	// Cwd is absolute; relative paths start from it, and positions are printed relative to it.
	Cwd string
	// Stdin is read where a file is "-".
	Stdin io.Reader
	// Remotes fetch files that are named by other references than paths; the first that accepts one is asked.
	Remotes []Remote
	// Skip are the steps to leave out.
	Skip Steps
}

// Steps are parts of loading that can be left out, to see a project nearer to how it was written.
type Steps struct {
	// Interpolation replaces variables; without it a project can only be had by Tree.
	Interpolation bool
	// Normalization adds what is implied, such as the default network. Paths makes paths absolute.
	Normalization, Paths bool
	// Consistency checks that what is named exists. Environment reads env_file into environment.
	Consistency, Environment bool
}

// loading is one Load on its way.
type loading struct {
	*report
	*nodes
	origin
	opts    Options
	remotes *remotes
	name    string
	mains   []*document
	// places and digests are those of the project.
	places  compose.Places
	digests map[string]string
}

// maxProblems are told at once; who has more has made one mistake in many places.
const maxProblems = 200

// Load reads, checks and merges the files of a project. The error is compose.Problems, all of them, wherever something
// the user wrote is wrong. It changes nothing on the machine.
func Load(ctx context.Context, opts Options) (*compose.Project, error) {
	l := newLoading(opts)
	model, err := l.load(ctx)
	if err == nil {
		err = l.failure()
	}
	if err != nil {
		return nil, err
	}
	model.ComposeFiles = l.files
	return &compose.Project{Name: l.name, Dir: l.dir, Files: l.files, Model: model, Warnings: l.warnings.Sorted(opts.Cwd), Ignored: l.ignored.Sorted(opts.Cwd),
		Digests: l.digests, Remotes: l.remotes.used, Places: l.places.Relative(opts.Cwd)}, nil
}

func newLoading(opts Options) *loading {
	return &loading{report: &report{cwd: opts.Cwd}, nodes: newNodes(), opts: opts, digests: map[string]string{},
		remotes: &remotes{kinds: opts.Remotes, copies: map[string]fetched{}}}
}

// failure is the problems recorded, nil for none.
func (l *loading) failure() error {
	if len(l.problems) == 0 {
		return nil
	}
	ps := l.problems.Sorted(l.opts.Cwd)
	if more := len(ps) - maxProblems; more > 0 {
		ps = append(ps[:maxProblems:maxProblems], compose.Problem{Message: fmt.Sprintf("and %d more problems", more)})
	}
	return ps
}

// load is the model, or nil with problems recorded. Every stage runs as far as the problems of the one before leave it something to
// stand on, so that a user sees them all at once; only files that cannot be read or parsed end it early.
func (l *loading) load(ctx context.Context) (*types.Project, error) {
	files, err := l.walkFiles(ctx)
	if err != nil || files == nil {
		return nil, err
	}
	in := &inspector{report: l.report, nodes: l.nodes, places: &l.places, documents: files, env: l.env, services: l.opts.Services, skip: l.opts.Skip, digests: l.digests}
	if len(l.problems) == 0 {
		model, err := l.compose(ctx, false)
		if err == nil {
			in.inspect(model)
			return model, nil
		}
		before := len(l.problems)
		if rough, rerr := l.compose(ctx, true); rerr == nil {
			in.inspect(rough)
		}
		if len(l.problems) == before {
			l.problems = append(l.problems, foreign(err, &l.places))
		}
		return nil, nil
	}
	// What is right can still be loaded and have its references checked.
	if model, err := l.compose(ctx, true); err == nil {
		in.inspect(model)
	}
	return nil, nil
}

// walkFiles finds, reads and checks the files one by one, and gives all that took part; nil with problems recorded where it
// could not get that far.
func (l *loading) walkFiles(ctx context.Context) (map[string]*document, error) {
	// A fetch that was interrupted is no problem of a file.
	if l.origin = l.find(ctx); len(l.problems) > 0 {
		return nil, context.Cause(ctx)
	}
	files := reader{report: l.report, stdin: l.opts.Stdin, documents: map[string]*document{}}
	for _, file := range l.files {
		if doc := files.read(file, compose.Problem{}); doc != nil {
			doc.dir, doc.env = l.dir, l.env
			if l.roots[file] != "" {
				// What another file of the command line brought is theirs in common, as is a folder that the user named.
				doc.within = slices.Sorted(maps.Values(l.roots))
				if l.opts.Dir != "" {
					doc.within = append(doc.within, l.dir)
				}
			}
			l.mains = append(l.mains, doc)
		}
	}
	if l.nameProject(); len(l.problems) > 0 {
		return nil, nil
	}
	l.env[consts.ComposeProjectName] = l.name
	schema, err := specification()
	if err != nil {
		return nil, err
	}
	w := &walk{report: l.report, nodes: l.nodes, reader: files, schema: schema, places: &l.places, alone: len(l.mains) == 1, raw: l.opts.Skip.Interpolation, checked: map[*yaml.Node]bool{},
		remotes: l.remotes, fetch: func(reference string) (fetched, error) { return l.remotes.fetch(ctx, reference, false) }}
	for _, doc := range l.mains {
		w.document(doc, nil)
	}
	return files.documents, context.Cause(ctx)
}

// compose runs compose-go. Its validation is skipped because ours has passed. A rough run leaves out what is bad and all
// that stops at a first error, to get a model that references can be checked on.
func (l *loading) compose(ctx context.Context, rough bool) (project *types.Project, err error) {
	// compose-go's type assertions trust its own validation. Ours asks for the same types, of each file though and not of
	// what merging makes of them: a gap must show as a problem of the file, not as a stack.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("these values do not fit together: %v", r)
		}
	}()
	details, err := l.details(rough)
	if err != nil {
		return nil, err
	}
	return loader.LoadWithContext(ctx, details, func(o *loader.Options) { l.configure(o, rough) })
}

// details are the files as compose-go takes them.
func (l *loading) details(rough bool) (types.ConfigDetails, error) {
	details := types.ConfigDetails{WorkingDir: l.dir, Environment: maps.Clone(l.env)}
	for _, doc := range l.mains {
		file, err := l.configFile(doc, rough)
		if err != nil {
			return details, err
		}
		details.ConfigFiles = append(details.ConfigFiles, file)
	}
	return details, nil
}

// configure sets compose-go's options.
func (l *loading) configure(o *loader.Options, rough bool) {
	skip := l.opts.Skip
	o.SkipValidation = true
	o.SkipInterpolation, o.SkipNormalization, o.ResolvePaths = skip.Interpolation, skip.Normalization, !skip.Paths
	o.SkipConsistencyCheck = rough || skip.Consistency
	o.SkipResolveEnvironment, o.SkipResolveLabels = rough || skip.Environment, rough
	o.Profiles = l.profiles()
	if len(l.remotes.kinds) > 0 {
		o.ResourceLoaders = append(o.ResourceLoaders, resource{l.remotes})
	}
	o.SetProjectName(l.name, true)
	o.Interpolate.TypeCastMapping = l.casts(o.Interpolate.TypeCastMapping)
	o.Interpolate.Substitute = func(text string, lookup template.Mapping) (string, error) {
		return substitute(text, lookup, func(string) {})
	}
}

// configFile hands compose-go a file as values, to save a second parse, or as text where only its own parser will do.
func (l *loading) configFile(doc *document, rough bool) (types.ConfigFile, error) {
	file := types.ConfigFile{Filename: doc.file, Content: doc.content}
	if doc.tagged && !rough || len(doc.roots) != 1 {
		return file, nil
	}
	v, err := l.decode(doc.roots[0])
	if err != nil {
		return file, err
	}
	file.Config, _ = v.(map[string]any)
	return file, nil
}

// abs is a path as the file in dir means it.
func abs(dir, path string) string {
	if path == "-" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// isFile follows symlinks; what cannot be looked at is none.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// profiles are those enabled: of the options, else of the environment, and those of the services named.
func (l *loading) profiles() []string {
	profiles := l.opts.Profiles
	if len(profiles) == 0 {
		profiles = splitList(l.env[consts.ComposeProfiles], ",")
	}
	// A service that is named has its profiles enabled, as docker compose does for `up NAME`.
	for _, doc := range l.mains {
		for _, root := range doc.roots {
			for _, name := range l.opts.Services {
				if list := child(root, "services", name, "profiles"); list != nil {
					for _, p := range list.Content {
						profiles = append(slices.Clip(profiles), l.value(deref(p)))
					}
				}
			}
		}
	}
	return profiles
}

// nameProject decides the project's name by docker compose's precedence.
func (l *loading) nameProject() {
	name, origin := l.opts.Name, "--project-name"
	if name == "" {
		name, origin = l.env[consts.ComposeProjectName], consts.ComposeProjectName
	}
	if name != "" {
		if loader.NormalizeProjectName(name) != name {
			l.problem(compose.Position{}, "", fmt.Sprintf("the project name %q of %s is not allowed", name, origin),
				"it has lower case letters, digits, hyphens and underscores, and starts with a letter or digit")
		}
		l.name = name
		return
	}
	for _, doc := range l.mains {
		for _, root := range doc.roots {
			if n := child(root, "name"); n != nil && n.Kind == yaml.ScalarNode && n.Value != "" {
				lookup := func(name string) (string, bool) { v, ok := l.env[name]; return v, ok }
				// A bad variable is reported by the walk over the whole file.
				name, _ = substitute(n.Value, lookup, func(string) {})
			}
		}
	}
	if l.name = loader.NormalizeProjectName(name); l.name == "" {
		l.name = loader.NormalizeProjectName(filepath.Base(l.start))
	}
	if l.name == "" {
		l.problem(compose.Position{}, "", fmt.Sprintf("no project name can be made from the directory %q", l.start), "give one with --project-name or name: in the file")
	}
}
