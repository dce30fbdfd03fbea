package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/planner/desired"
	"github.com/pcompose/pcompose/pod"
)

// background is the program by which the supervisor watches files: this command line once more, as it was understood. Its
// key changes with all that it would do.
func background(env *Env, spec pod.Spec, triggers []pod.Trigger, opt *watchOptions) (*pod.Watcher, error) {
	g := env.global
	if slices.Contains(g.files, "-") {
		return nil, errors.New("a Compose file from standard input cannot be watched in the background: it is gone when it would be read again")
	}
	argv := []string{"pcompose", "--project-name", spec.Name, "--progress", "plain", "--ansi", "never"}
	lists := map[string][]string{"--file": g.files, "--profile": g.profiles, "--env-file": g.envFiles}
	for _, flag := range []string{"--file", "--profile", "--env-file"} {
		for _, value := range lists[flag] {
			argv = append(argv, flag, value)
		}
	}
	for _, f := range []struct{ flag, value string }{
		{"--project-directory", g.dir}, {"--root", g.root}, {"--runroot", g.runRoot}, {"--runtime", g.runtime},
	} {
		if f.value != "" && (f.flag == "--root" || f.flag == "--runroot") && !filepath.IsAbs(f.value) {
			f.value = filepath.Join(env.dir, f.value)
		}
		if f.value != "" {
			argv = append(argv, f.flag, f.value)
		}
	}
	if g.compatible {
		argv = append(argv, "--compatibility")
	}
	argv = slices.Concat(argv, []string{"watch", "--attended"}, opt.flags(), []string{"--"}, opt.services)
	// Not the environment, which differs from shell to shell: what it means for the project is in the rest.
	text, err := json.Marshal(struct {
		Argv     []string
		Dir      string
		Spec     pod.Spec
		Triggers []pod.Trigger
	}{argv, env.dir, spec, triggers})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	w := &pod.Watcher{Argv: argv, Dir: env.dir, Services: opt.services, Key: hex.EncodeToString(sum[:]), Since: opt.begun}
	for name, value := range env.vars {
		w.Env = append(w.Env, name+"="+value)
	}
	slices.Sort(w.Env)
	return w, nil
}

// patience is how long a watcher waits for the one before it: its supervisor was killed, or has ended it.
const patience = 15 * time.Second

// runAttended watches as the program of the supervisor, which hears whether that could begin.
func runAttended(ctx context.Context, env *Env, opt *watchOptions) error {
	ctx, begun, err := engine.Attended(ctx)
	if err != nil {
		return err
	}
	if err = attended(ctx, env, opt, begun); errors.Is(err, engine.ErrUnattended) {
		return nil
	}
	return err
}

func attended(ctx context.Context, env *Env, opt *watchOptions, begun func(error)) (err error) {
	defer func() {
		if err != nil {
			begun(err)
		}
	}()
	project, spec, err := env.pod(ctx, opt.services, desired.Options{})
	if err != nil {
		return err
	}
	triggers, err := triggersOf(env, project, opt.services)
	if err != nil {
		return err
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	pod := e.Project(spec.Name)
	since, err := engine.Watched(pod)
	if err != nil {
		return err
	}
	w, err := runner{env, e}.openWatch(ctx, &watching{spec: spec, triggers: triggers, patience: patience, quiet: opt.quiet, prune: opt.prune, idle: func(at time.Time) {
		if err := engine.SetWatched(pod, at); err != nil && !errors.Is(err, os.ErrNotExist) {
			env.ui.Warn(err.Error())
		}
	}})
	if err != nil {
		return err
	}
	defer w.close()
	begun(nil)
	return w.run(ctx, since)
}
