package engine

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/secret"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/sandbox"
)

// Observe sees the pod of a project: what is remembered of it, what runs, and what is there of the images,
// volumes and host ports that want asks for. Want may be nil. It changes nothing.
func (e *Engine) Observe(ctx context.Context, project string, want *pod.Spec) (pod.Status, error) {
	status := pod.Status{Name: project}
	remembered, err := e.state.Load(project)
	if err != nil {
		return status, err
	}
	if remembered == nil {
		remembered = &state.Project{} // a pod may be up all the same: what a killed `down` left
	} else {
		status.Spec = &remembered.Spec
	}
	look := &observation{e, &status}
	if err := look.containers(ctx, remembered); err != nil {
		return status, err
	}
	if want == nil {
		want = &pod.Spec{}
	} else if _, _, err := e.runtime(); err != nil {
		status.NoRuntime = err.Error()
	}
	look.providers(remembered, want)
	for _, c := range want.Containers {
		if err := lacking(c); err != nil {
			if status.Lacking == nil {
				status.Lacking = map[string]string{}
			}
			status.Lacking[c.Name] = err.Error()
		}
	}
	if err := look.images(want); err != nil {
		return status, err
	}
	if len(want.Containers) > 0 {
		if status.Denied, err = Denied(ctx, e.Project(project), status); err != nil {
			return status, err
		}
	}
	if err := errors.Join(look.volumes(want), look.foreign(want), look.secrets(want), look.networks(want), look.owners(ctx, want)); err != nil {
		return status, err
	}
	foreign := slices.DeleteFunc(want.Ports(), func(p pod.Port) bool { return slices.Contains(status.Ports, p) })
	if len(foreign) > 0 {
		status.Taken, err = sandbox.Taken(foreign, status.Ports)
		status.Taken = slices.DeleteFunc(status.Taken, func(t pod.TakenPort) bool { return t.Project == project })
		for i := range status.Taken {
			nameOwner(ctx, e, &status.Taken[i])
		}
	}
	return status, err
}

// Projects sees every project that is remembered, sorted by name.
func (e *Engine) Projects(ctx context.Context) ([]pod.Status, error) {
	names, err := e.state.Names()
	if err != nil {
		return nil, err
	}
	var all []pod.Status
	for _, name := range names {
		status := pod.Status{Name: name}
		remembered, err := e.state.Load(name)
		if err != nil {
			return nil, err
		}
		if remembered == nil { // removed since
			continue
		}
		status.Spec = &remembered.Spec
		if err := (&observation{e, &status}).containers(ctx, remembered); err != nil {
			return nil, err
		}
		all = append(all, status)
	}
	return all, nil
}

// observation fills in a status.
type observation struct {
	engine *Engine
	status *pod.Status
}

// containers fills in the containers: runs as the supervisor knows them, or as the last one wrote them.
func (o *observation) containers(ctx context.Context, remembered *state.Project) error {
	status := o.status
	reply, err := o.engine.Project(status.Name).client().status(ctx)
	switch {
	case err == nil:
		status.Up, status.Ports, status.Topology, status.Supervisor = true, reply.Ports, reply.Topology, reply.PID
		status.Watcher = reply.Watcher
	case !errors.Is(err, errDown):
		return err
	}
	runs := map[string]pod.Run{}
	for _, c := range reply.Containers {
		runs[c.ID] = c.Run
	}
	for _, r := range remembered.Containers {
		run, known := runs[r.ID]
		if !known {
			run = o.engine.rest(status.Name, r.ID)
		}
		status.Containers = append(status.Containers, pod.ContainerStatus{
			Container: r.Container, ID: r.ID, ImageID: r.ImageID, CreatedAt: r.CreatedAt, Argv: r.Argv, Anonymous: r.Anonymous,
			Taken: r.Taken, MountedImages: ids(r.Mounted), Run: run,
		})
	}
	slices.SortFunc(status.Containers, func(a, b pod.ContainerStatus) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// rest is the run of a container that no supervisor knows: never started, or its pod has gone.
func (e *Engine) rest(project, id string) pod.Run {
	dir := e.state.BundleDir(project, id)
	if _, err := control.ReadBundle(dir); errors.Is(err, fs.ErrNotExist) {
		// The run directory is gone with a reboot, or the bundle was never finished. Which of the two it was, the
		// image store knows: see partial.
		return e.partial(id)
	}
	last, err := control.ReadRun(dir)
	if err != nil {
		return pod.Run{State: pod.StateCreated}
	}
	run := last.Run
	start, err := keeper.StartTime(run.PID)
	if alive := run.PID != 0 && err == nil && start == last.Start; run.State.Alive() && !alive {
		// Its keeper was killed, or the machine was: nobody saw its end.
		run.State, run.PID, run.ExitCode, run.Health = pod.StateExited, 0, pod.UnknownExit, ""
	}
	return run
}

func (e *Engine) partial(id string) pod.Run {
	roots, err := e.roots()
	if err == nil {
		if exist, err := roots.Exists([]string{id}); err == nil && exist[0] {
			return pod.Run{State: pod.StateExited, ExitCode: pod.UnknownExit}
		}
	}
	return pod.Run{State: pod.StatePartial}
}

// images looks up the images of what is wanted and of what is there.
func (o *observation) images(want *pod.Spec) error {
	refs := map[string]bool{}
	for _, c := range want.Containers {
		for _, image := range c.Images() {
			refs[image] = true
		}
	}
	for _, b := range want.Builds {
		refs[b.Image()] = true
	}
	if len(refs) == 0 {
		return nil
	}
	for _, c := range o.status.Containers {
		refs[c.Image] = true
	}
	store, err := o.engine.store()
	if err != nil {
		return err
	}
	o.status.Images = map[string]pod.Image{}
	for ref := range refs {
		found, err := store.Lookup(ref)
		if errors.Is(err, image.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if slices.ContainsFunc(want.Containers, func(c pod.Container) bool { return c.Pull == pod.PullRefresh && c.Image == ref }) {
			found.Age = store.Age(found.ID)
		}
		o.status.Images[ref] = found
	}
	return nil
}

// foreign looks for containers of other projects that volumes are taken from.
func (o *observation) foreign(want *pod.Spec) error {
	for _, c := range want.Containers {
		for _, from := range c.VolumesFrom {
			_, ours := want.Container(from.Container)
			if ours || slices.Contains(o.status.Foreign, from.Container) {
				continue
			}
			_, err := foreign(o.engine, from.Container)
			if errors.Is(err, errNoContainer) {
				continue
			}
			if err != nil {
				return err
			}
			o.status.Foreign = append(o.status.Foreign, from.Container)
		}
	}
	slices.Sort(o.status.Foreign)
	return nil
}

// secrets looks for what podman's store of secrets has of those wanted.
func (o *observation) secrets(want *pod.Spec) error {
	for _, c := range want.Containers {
		for _, f := range c.Files {
			if f.External == "" {
				continue
			}
			store, err := podmanSecrets(o.engine)
			if err != nil {
				return err
			}
			version, err := store.Version(f.External)
			if errors.Is(err, secret.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if o.status.Secrets == nil {
				o.status.Secrets = map[string]string{}
			}
			o.status.Secrets[f.External] = version
		}
	}
	return nil
}

func (o *observation) volumes(want *pod.Spec) error {
	names := map[string]bool{}
	for _, spec := range []*pod.Spec{want, o.status.Spec} {
		if spec == nil {
			continue
		}
		for _, v := range spec.Volumes {
			names[v.Name] = true
		}
	}
	o.status.MadeAs = map[string]pod.Volume{}
	for name := range names {
		exists, err := o.engine.volumes.Exists(name)
		if err != nil {
			return err
		}
		if !exists {
			continue
		}
		o.status.Volumes = append(o.status.Volumes, name)
		// One whose record is damaged is there all the same: who mounts it will say so.
		if v, err := o.engine.volumes.Inspect(name); err == nil {
			o.status.MadeAs[name] = pod.Volume{Name: name, Driver: v.Driver, DriverOpts: v.Options, Labels: v.Labels}
		}
	}
	slices.Sort(o.status.Volumes)
	return nil
}
