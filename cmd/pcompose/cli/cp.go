package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/pod"
)

type cpOptions struct {
	args                 []string
	index                int
	all, archive, follow bool
}

func newCp(env *Env, run action[cpOptions]) *cobra.Command {
	opt := &cpOptions{}
	cmd := command(env, "cp [OPTIONS] SERVICE:SRC_PATH DEST_PATH|-\n  pcompose cp [OPTIONS] SRC_PATH|- SERVICE:DEST_PATH",
		"Copy files/folders between a service container and the local filesystem", &opt.args, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVar(&opt.all, "all", false, "Include containers created by the run command")
	f.BoolVarP(&opt.archive, "archive", "a", false, "Give what is copied into a container to the container's user (default: keep the owners' numbers)")
	f.BoolVarP(&opt.follow, "follow-link", "L", false, "Follow a symbolic link in SRC_PATH")
	f.IntVar(&opt.index, "index", 0, "Number of the container if the service has several")
	cmd.Args = takes("a source", "a destination")
	return cmd
}

// copied is what a cp copies: in to, or out of, the containers of a service.
type copied struct {
	service string
	in      bool
	engine.Copy
}

// direction reads the arguments of cp.
func (o *cpOptions) direction() (copied, error) {
	from, source := serviceAndPath(o.args[0])
	to, target := serviceAndPath(o.args[1])
	c := engine.Copy{Follow: o.follow, Archive: o.archive}
	switch {
	case from != "" && to != "":
		return copied{}, errors.New("copying between services is not supported: copy to a file, or pipe from - to -")
	case from != "":
		c.Inside, c.Outside = source, target
		return copied{from, false, c}, nil
	case to != "":
		c.Inside, c.Outside = target, source
		return copied{to, true, c}, nil
	}
	return copied{}, errors.New("unknown copy direction: neither path names a service, as in SERVICE:PATH")
}

// serviceAndPath reads SERVICE:PATH. An absolute path, or one that begins with a dot, is local whatever it contains.
func serviceAndPath(arg string) (service, path string) {
	service, path, ok := strings.Cut(arg, ":")
	if !ok || filepath.IsAbs(arg) || strings.HasPrefix(arg, ".") {
		return "", arg
	}
	return service, path
}

func runCp(ctx context.Context, env *Env, opt *cpOptions) error {
	c, err := opt.direction()
	if err != nil {
		return err
	}
	e, t, observed, err := env.look(ctx, []string{c.service})
	if err != nil {
		return err
	}
	defer e.Close()
	containers, err := opt.containers(observed, c)
	if err != nil {
		return err
	}
	local := c.Outside
	if c.Outside != "-" && !filepath.IsAbs(c.Outside) {
		c.Outside = absolute(env.dir, c.Outside)
	}
	for _, one := range containers {
		c.Container = one.Name
		what := fmt.Sprintf("copy %s:%s to %s", one.Name, c.Inside, local)
		if c.in {
			what = fmt.Sprintf("copy %s to %s:%s", local, one.Name, c.Inside)
		}
		if env.global.dryRun {
			env.ui.Line("%s", what)
			continue
		}
		env.ui.Say(" %s %s Copying", one.Name, what)
		if err := copyOne(ctx, env, engine.FilesOf(e.Project(t.name)), c); err != nil {
			return err
		}
		env.ui.Say(" %s %s Copied", one.Name, what)
	}
	return nil
}

// absolute is a path below a directory. Unlike filepath.Join it keeps the end, which says what is meant.
func absolute(dir, path string) string { return strings.TrimSuffix(dir, "/") + "/" + path }

// containers are those copied from or to: of a source the first, of a destination all.
func (o *cpOptions) containers(observed pod.Status, c copied) ([]pod.ContainerStatus, error) {
	if o.index > 0 {
		one, err := find(observed, c.service, o.index)
		return []pod.ContainerStatus{one}, err
	}
	var list []pod.ContainerStatus
	for _, one := range observed.Containers {
		if one.Service == c.service && (o.all || !one.OneOff) && one.Run.State != pod.StatePartial {
			list = append(list, one)
		}
	}
	switch {
	case len(list) == 0:
		return nil, fmt.Errorf("no container found for service %q", c.service)
	case !c.in:
		return list[:1], nil
	case c.Outside == "-" && len(list) > 1:
		return nil, fmt.Errorf("standard input can be copied to one container only, and service %q has %d: choose one with --index", c.service, len(list))
	}
	return list, nil
}

func copyOne(ctx context.Context, env *Env, p engine.Files, c copied) error {
	switch {
	case c.in && c.Outside == "-":
		return p.UnpackIn(ctx, c.Copy, env.streams.In)
	case c.in:
		return p.CopyIn(ctx, c.Copy)
	case c.Outside == "-":
		if isTerminal(env.streams.Out) {
			return errors.New("cannot write a tar archive to a terminal: redirect standard output")
		}
		return p.PackOut(ctx, c.Copy, env.streams.Out)
	}
	return p.CopyOut(ctx, c.Copy)
}
