// Package build builds images from Dockerfiles, with buildah's imagebuildah in this process.
//
// Layers are kept as images without a name in the store, where the next build, and buildah's and podman's, finds them.
// Each RUN is a container of the OCI runtime; buildah starts it through a re-execution of the program, whose main must call
// go.podman.io/storage/pkg/reexec.Init first and return when that returns true.
//
// An image gets its names when it is whole. What a killed build leaves, its containers, mounts and files, is removed by
// the next build, or by Sweep.
package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/runtime"
	"go.podman.io/buildah/imagebuildah"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// Config says what a Builder works with.
type Config struct {
	Store storage.Store
	// System is how images are pulled and pushed.
	System *types.SystemContext
	// Dir is the folder that messages name files from.
	Dir string
	// Root keeps what builds write for a while, RunRoot, on a tmpfs, what is secret and what the OCI runtime keeps.
	Root, RunRoot string
	// Runtime is the OCI runtime that runs RUN.
	Runtime runtime.Config
	// MaxRlimits are the highest resource limits that may be set, by lower-case name; absent is no bound.
	MaxRlimits map[string]uint64
	// LookupEnv finds the variables that secrets name.
	LookupEnv func(name string) (string, bool)
	// Checkout is the folder that the URL of a git repository means; ok is false for what is no such URL.
	Checkout func(ctx context.Context, url string) (dir string, ok bool, err error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Builder builds images. Its methods may be used from several goroutines: builds share what the machine can do at once.
type Builder struct {
	cfg Config
	// open makes the builder's own folders when the first build needs them.
	open func() (*workshop, error)
	shop *workshop
	mu   sync.Mutex
}

// New is a builder. It touches nothing.
func New(cfg Config) *Builder {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	b := &Builder{cfg: cfg}
	b.open = sync.OnceValues(func() (*workshop, error) {
		// What buildah writes into config.json, and nothing else here reads: crun before 1.9 takes no newer version than 1.0.
		specs.Version = "1.0.2"
		if err := sweep(cfg); err != nil {
			return nil, err
		}
		shop, err := openWorkshop(cfg)
		b.mu.Lock()
		b.shop = shop
		b.mu.Unlock()
		return shop, err
	})
	return b
}

// Close removes what the builder has on disk for itself.
func (b *Builder) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shop == nil {
		return nil
	}
	return b.shop.close()
}

// Build builds an image and gives it its names; the ID is its own. What the store has of it already is not done again. Report
// is told of its instructions, from one goroutine at a time. The error of an instruction is a *StepError.
func (b *Builder) Build(ctx context.Context, build pod.Build, report func(pod.BuildStep)) (id string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot build image %q: %w", build.Image(), err)
		}
	}()
	shop, err := b.open()
	if err != nil {
		return "", err
	}
	order := &order{Builder: b, build: build, shop: shop}
	defer order.clean()
	if err := order.prepare(ctx); err != nil {
		return "", err
	}
	out := newOutput(order.file, report, b.cfg.Now)
	out.labels = len(build.Labels) > 0
	options, err := order.options(ctx, out)
	if err != nil {
		return "", err
	}
	ticket, ok := order.ticket(ctx)
	if id, known := order.known(ticket, report); ok && known {
		return id, nil
	}
	// buildah waits for what RUN runs, whatever became of its context, and removes it.
	stop := context.AfterFunc(ctx, func() {
		eachContainer(b.cfg.Runtime, runtimeDir(order.dir), func(program *runtime.Program, id string) {
			_ = program.Kill(context.Background(), id, unix.SIGKILL, false)
		})
	})
	defer stop()
	store := newWitness(b.cfg.Store)
	id, _, err = imagebuildah.BuildDockerfiles(ctx, store, options, order.adapted)
	if err != nil && ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", out.explain(err)
	}
	out.succeed()
	if ok {
		_ = order.remember(ctx, ticket, store, out, id) // the image is there; what fails costs the next build time
	}
	return id, nil
}

// Check reads a build's Dockerfile, and says what is wrong with it; it builds nothing.
func (b *Builder) Check(ctx context.Context, build pod.Build) error {
	shop, err := b.open()
	if err != nil {
		return err
	}
	order := &order{Builder: b, build: build, shop: shop}
	defer order.clean()
	if err = order.prepare(ctx); err == nil {
		_, err = order.options(ctx, newOutput(order.file, func(pod.BuildStep) {}, b.cfg.Now))
	}
	if err != nil {
		return fmt.Errorf("cannot build image %q: %w", build.Image(), err)
	}
	return nil
}

// order is one build on its way.
type order struct {
	*Builder
	build pod.Build
	shop  *workshop
	// dir is the build's own folder on a tmpfs, context the folder its files come from.
	dir, context string
	// remote says that the context is somebody else's: its links must not lead out of it.
	remote bool
	file   *dockerfile
	// adapted is the path of the Dockerfile that buildah reads.
	adapted string
	// contexts are additional ones by name, as folders.
	folders map[string]string
}

// prepare finds the context and reads the Dockerfile.
func (o *order) prepare(ctx context.Context) error {
	var err error
	if o.dir, err = o.shop.folder(); err != nil {
		return err
	}
	if o.context, o.remote, err = o.fetch(ctx, o.build.Context); err != nil {
		return err
	}
	o.folders = map[string]string{}
	for _, name := range sorted(o.build.Contexts) {
		value := o.build.Contexts[name]
		if isImage(value) {
			continue
		}
		if o.folders[name], _, err = o.fetch(ctx, value); err != nil {
			return fmt.Errorf("additional context %q: %w", name, err)
		}
	}
	if o.file, err = o.readDockerfile(); err != nil {
		return err
	}
	o.adapted, err = o.adapt()
	return err
}

func (o *order) clean() {
	if o.dir != "" {
		_ = os.RemoveAll(o.dir) // what stays goes with the builder
	}
}

// runtimeDir is where the OCI runtime keeps what it knows of the containers of a build's RUN.
func runtimeDir(build string) string { return filepath.Join(build, "runtime") }

// eachContainer does something to all that RUN runs below a folder of the OCI runtime's. One that has ended meanwhile is what is
// wanted.
func eachContainer(cfg runtime.Config, dir string, do func(program *runtime.Program, id string)) {
	for _, id := range names(dir) {
		cfg.Root, cfg.Scratch = dir, filepath.Join(filepath.Dir(dir), "calls")
		if program, err := runtime.New(cfg); err == nil {
			do(program, id)
		}
	}
}

// names are the entries of a folder, none where there is none.
func names(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// sorted are the keys of a map in order.
func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// StepError is the failure of an instruction.
type StepError struct {
	// File and Line are where the instruction begins, Text is it, as it was written.
	File string
	Line int
	Text string
	// Output is the end of what it printed.
	Output []string
	Err    error
}

// Error names the instruction's place, and shows the end of its output.
func (e *StepError) Error() string {
	at := e.File
	if e.Line > 0 {
		at += ":" + strconv.Itoa(e.Line)
	}
	text := fmt.Sprintf("%s: %s: %v", at, e.Text, e.Err)
	if len(e.Output) > 0 {
		text += "\n  | " + strings.Join(e.Output, "\n  | ")
	}
	return text
}

// Unwrap is the cause.
func (e *StepError) Unwrap() error { return e.Err }
