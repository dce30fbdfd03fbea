// Package engine makes it happen: it observes pods and does the actions of plans.
//
// It joins the parts below it: images, root filesystems, volumes, secrets and state are done here, in the
// command's own process; everything that touches a running container is asked of the pod's supervisor, which
// alone starts container processes.
package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pcompose/pcompose/engine/build"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/rootfs"
	"github.com/pcompose/pcompose/engine/secret"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/engine/userns"
	"github.com/pcompose/pcompose/engine/volume"
)

// Config says where the engine keeps things and what it uses. Zero values are the defaults.
type Config struct {
	// Root keeps what outlives a reboot: /var/lib/pcompose, for users $XDG_DATA_HOME/pcompose.
	Root string
	// RunRoot keeps what does not: /run/pcompose, for users $XDG_RUNTIME_DIR/pcompose.
	RunRoot string
	// Runtime names the OCI runtime, or is its path; "" is containers.conf's choice, else crun, else runc,
	// else the built-in one.
	Runtime string
	// NetworkCmd is the pod.OutletKind of new pods; "" chooses the best there is.
	NetworkCmd string
	// Command is how this process is known to others that wait for its lock: "pcompose up".
	Command string
	// LookupEnv finds the variables that secrets and configs name; nil is os.LookupEnv.
	LookupEnv func(name string) (string, bool)
	// Environ is the environment of the programs of providers; nil is os.Environ.
	Environ func() []string
	// Dir is the caller's folder, from which messages name files.
	Dir string
	// Checkout is the folder that the URL of a git repository means, for builds; ok is false for what is no such URL. nil
	// knows none.
	Checkout func(ctx context.Context, url string) (dir string, ok bool, err error)
}

// Engine is the machine as pcompose sees it. Its methods may be called from several goroutines.
type Engine struct {
	cfg     Config
	state   *state.Store
	volumes *volume.Store
	// store opens the image store when it is first needed: many commands never do.
	store func() (*image.Store, error)
	host  func() (host, error)
	// delegation is where cgroups may be made.
	delegation func() delegation
	// builder builds images, once it is needed.
	builder func() (*build.Builder, error)
	mu      sync.Mutex
	// opened is what store opened, for Close, and ends what else is to be closed, before.
	opened *image.Store
	ends   []func() error
}

// Open is an engine on the configured directories. It touches nothing.
func Open(cfg Config) (*Engine, error) {
	root, run, err := defaults()
	if err != nil && (cfg.Root == "" || cfg.RunRoot == "") {
		return nil, err
	}
	if cfg.Root == "" {
		cfg.Root = root
	}
	if cfg.RunRoot == "" {
		cfg.RunRoot = run
	}
	for _, dir := range []*string{&cfg.Root, &cfg.RunRoot} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return nil, fmt.Errorf("cannot find directory %q: %w", *dir, err)
		}
	}
	if cfg.LookupEnv == nil {
		cfg.LookupEnv = os.LookupEnv
	}
	if cfg.Checkout == nil {
		cfg.Checkout = func(context.Context, string) (string, bool, error) { return "", false, nil }
	}
	if cfg.Command == "" {
		cfg.Command = "pcompose"
	}
	e := &Engine{
		cfg:     cfg,
		state:   state.New(cfg.Root, cfg.RunRoot),
		volumes: volume.New(filepath.Join(cfg.Root, "volumes"), time.Now),
	}
	e.store = sync.OnceValues(e.openStore)
	e.delegation = sync.OnceValue(findDelegation)
	e.host = sync.OnceValues(func() (host, error) { return readHost(e.delegation()) })
	e.builder = sync.OnceValues(func() (*build.Builder, error) { return openBuilder(e) })
	return e, nil
}

// defaults are the directories of root, or of a user (XDG base directory specification).
func defaults() (root, run string, err error) {
	if !userns.Rootless() {
		return "/var/lib/pcompose", "/run/pcompose", nil
	}
	if run, err = userns.Dir(); err != nil {
		return "", "", err
	}
	root = os.Getenv("XDG_DATA_HOME")
	if root == "" {
		root = filepath.Join(os.Getenv("HOME"), ".local", "share")
	}
	return filepath.Join(root, "pcompose"), run, nil
}

func (e *Engine) openStore() (*image.Store, error) {
	uids, gids, err := userns.Mapped()
	if err != nil {
		return nil, err
	}
	s, err := image.Open(image.Config{OneOwner: min(uids, gids) == 1})
	e.mu.Lock()
	e.opened = s
	e.mu.Unlock()
	return s, err
}

// Close lets go of the image store, and of what builds have on disk.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, end := range e.ends {
		errs = append(errs, end())
	}
	if e.opened != nil {
		e.opened.Close()
	}
	return errors.Join(errs...)
}

// Images is the image store.
func (e *Engine) Images() (*image.Store, error) { return e.store() }

// Volumes are the named volumes.
func (e *Engine) Volumes() *volume.Store { return e.volumes }

// podmanSecrets are podman's secrets, which are kept beside the images.
func podmanSecrets(e *Engine) (*secret.Podman, error) {
	s, err := e.store()
	if err != nil {
		return nil, err
	}
	return secret.OpenPodman(filepath.Join(s.Storage().GraphRoot(), "secrets")), nil
}

func (e *Engine) roots() (*rootfs.Roots, error) {
	s, err := e.store()
	if err != nil {
		return nil, err
	}
	return rootfs.New(s.Storage()), nil
}

// sync brings the store's records to disk, where a store was opened. What a power cut takes before is found
// missing and made again.
func (e *Engine) sync() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.opened != nil {
		_ = rootfs.New(e.opened.Storage()).Sync() // as after a power cut
	}
}

// podID names what is made for a pod on the host. It is a function of the run directory, so that whatever a
// killed command left can be found again, and two installations do not meet.
func (e *Engine) podID(project string) string {
	sum := sha256.Sum256([]byte(e.state.RunDir(project)))
	return hex.EncodeToString(sum[:5])
}

// containerCgroup is a container's cgroup, "" where it has none. Its ID makes it unique below any parent that a file names.
func containerCgroup(p *Project, r state.Record) string {
	parent := p.engine.cgroup(p.name)
	if parent == "" {
		return ""
	}
	if named := r.Container.Isolation.CgroupParent; named != "" {
		parent = filepath.Join(p.engine.delegation().base, named)
	}
	return filepath.Join(parent, r.ID)
}
