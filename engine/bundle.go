package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/ocispec"
	"github.com/pcompose/pcompose/engine/rootfs"
	"github.com/pcompose/pcompose/engine/secret"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/lifecycle"
	"github.com/pcompose/pcompose/pod/sandbox"
	"go.podman.io/storage/pkg/idtools"
)

// bundle is what a container starts from: its mounted root, and a directory with config.json, bundle.json and the
// files it gets from us.
type bundle struct {
	project *Project
	record  state.Record
	// config is the image's, root where the root filesystem is mounted; both are there once make has begun.
	config image.RunConfig
	root   string
	dir    string
	// ids are the IDs of its user namespace, empty for the pod's.
	ids *idtools.IDMappings
}

// bundle is the bundle of a container.
func (p *Project) bundle(r state.Record) *bundle {
	if r.Container.Isolation.UTS == pod.NamespaceHost || r.Container.NetworkMode == pod.NetworkHost && r.Container.Hostname == "" {
		// What is asked of the kernel inside is the host's name; without one the container has its own. Agents that look at the
		// host's network report under its name: docker gives it to them too.
		r.Container.Hostname, _ = os.Hostname()
	}
	return &bundle{project: p, record: r, dir: p.engine.state.BundleDir(p.name, r.ID)}
}

// make mounts the root and writes the bundle, bundle.json last, which says that the rest is there. Idempotent.
func (b *bundle) make(ctx context.Context, config image.RunConfig, report func(execute.Progress)) error {
	roots, err := b.project.engine.roots()
	if err != nil {
		return err
	}
	if b.root, err = roots.Mount(b.record.ID); err != nil {
		return err
	}
	b.config = config
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	in, err := b.specInput(ctx)
	if err != nil {
		return err
	}
	spec, warnings, err := ocispec.Spec(in)
	if err != nil {
		return err
	}
	if err := injectCDI(spec, in.Container.Isolation.CDI); err != nil {
		return err
	}
	for _, v := range config.Volumes {
		if ofKernel(v) && !slices.ContainsFunc(b.record.Mounts(), func(m pod.Mount) bool { return m.Target == v }) {
			warnings = append(warnings, fmt.Sprintf("the image's volume %q is left out: the kernel's files are there", v))
		}
	}
	if in.Host.Rootless || len(in.UIDs) > 0 {
		if err := bindDevices(spec, !in.Container.Isolation.Privileged); err != nil {
			return err
		}
	}
	for _, w := range warnings {
		report(execute.Progress{Warning: fmt.Sprintf("container %s: %s", b.record.Container.Name, w)})
	}
	if len(in.UIDs) > 0 && !knowsCaller(in.UIDs) {
		if err := letPass(b.root, b.dir); err != nil {
			return err
		}
	}
	return b.write(spec)
}

func (b *bundle) write(spec *specs.Spec) error {
	filter, err := b.project.engine.filter(spec)
	if err != nil {
		return err
	}
	config, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "config.json"), config, 0o600); err != nil {
		return err
	}
	h, err := b.project.engine.host()
	if err != nil {
		return err
	}
	program, kind, err := runtimeOf(b.record.Container)
	if err != nil {
		return err
	}
	uid, gid, err := b.outside(int(spec.Process.User.UID), int(spec.Process.User.GID))
	if err != nil {
		return err
	}
	told := control.Bundle{
		Runtime: program, RuntimeKind: string(kind),
		ID: b.record.ID, Container: effective(b.record.Container, b.config), Cgroup: spec.Linux.CgroupsPath,
		LogDir: b.project.logDir(b.record), UID: uid, GID: gid,
		Filter: filter,
	}
	if lifecycle.Checked(told.Container) {
		told.Probe, err = ocispec.Process(spec, ocispec.Exec{Argv: probeArgv(told.Container.Health.Test)}, h.Host)
		if err != nil {
			return err
		}
	}
	return control.WriteBundle(b.dir, told)
}

// probeArgv is the command of a health check: CMD is run as it is, CMD-SHELL and a bare string by the shell.
func probeArgv(test []string) []string {
	switch test[0] {
	case "CMD":
		return test[1:]
	case "CMD-SHELL":
		return append([]string{"/bin/sh", "-c"}, strings.Join(test[1:], " "))
	}
	return test
}

// specInput gathers what a spec is made from: everything that needs the machine.
func (b *bundle) specInput(ctx context.Context) (in ocispec.Input, err error) {
	p, c, config, root := b.project, b.record.Container, b.config, b.root
	h, err := p.engine.host()
	if err != nil {
		return in, err
	}
	if c.Hostname == "" {
		c.Hostname = b.record.ID[:12] // as docker names it, and as /etc/hosts has it
	}
	h.Unfiltered = unfiltered(p.engine, c)
	initPath := ""
	if c.Init {
		if initPath, err = initProgram(p.engine.cfg.Root); err != nil {
			return in, err
		}
	}
	cell := b.cell()
	c.Isolation.Sysctls = linkSysctls(c, cell)
	in = ocispec.Input{
		Container: c, HostNetwork: cell.Mode == pod.NetworkHost, Host: h.Host, Rootfs: root, InitPath: initPath,
		NetNS:      state.CellPath(p.runDir(), c.Cell),
		CgroupPath: containerCgroup(p, b.record),
		Image:      imageConfig(config),
	}
	if err := b.readIDs(&in); err != nil {
		return in, err
	}
	who := whoRuns(c, config)
	named, kept, err := groups(c.Groups)
	if err != nil {
		return in, err
	}
	id, err := rootfs.User(root, who, named)
	if err != nil {
		return in, err
	}
	in.User = ocispec.User{UID: uint32(id.UID), GID: uint32(id.GID), Home: id.Home}
	for _, g := range id.Groups {
		in.User.Groups = append(in.User.Groups, uint32(g))
	}
	in.User.Groups = append(in.User.Groups, kept...)
	if err := b.workingDir(); err != nil {
		return in, err
	}
	if in.Mounts, err = b.mounts(ctx); err != nil {
		return in, err
	}
	if in.Files, err = b.files(); err != nil {
		return in, err
	}
	if in.Devices, err = devices(c); err != nil {
		return in, err
	}
	if in.BlockDevices, err = blockDevices(c.Resources.BlockIO); err != nil {
		return in, err
	}
	if in.Shm, err = b.shm(); err != nil {
		return in, err
	}
	if profile := c.Isolation.Seccomp; strings.HasPrefix(profile, "/") {
		if in.SeccompProfile, err = os.ReadFile(profile); err != nil {
			return in, fmt.Errorf("cannot read seccomp profile: %w", err)
		}
	}
	return in, nil
}

// workingDir makes the directory the process starts in, where the image lacks it.
func (b *bundle) workingDir() error {
	dir := b.record.Container.WorkingDir
	if dir == "" {
		dir = b.config.WorkingDir
	}
	if dir == "" {
		return nil
	}
	uid, gid, err := b.outside(0, 0)
	if err != nil {
		uid, gid = 0, 0 // a namespace without a root: whoever makes it
	}
	return rootfs.EnsureDir(b.root, dir, uid, gid)
}

// files writes what a container gets from us beside its image: hosts, resolv.conf, hostname, secrets and configs.
func (b *bundle) files() ([]ocispec.FileMount, error) {
	c := b.record.Container
	host, err := sandbox.HostResolvConf("/")
	if err != nil {
		return nil, err
	}
	hostname := c.Hostname
	if hostname == "" {
		hostname = b.record.ID[:12]
	}
	ours := []struct {
		target  string
		content []byte
	}{
		{"/etc/hosts", b.hosts(netip.Addr{})},
		{"/etc/resolv.conf", b.resolvConf(host)},
		{"/etc/hostname", []byte(hostname + "\n")},
	}
	var mounts []ocispec.FileMount
	if c.NoHosts {
		ours = ours[1:]
	}
	for _, f := range ours {
		path := filepath.Join(b.dir, filepath.Base(f.target))
		if err := os.WriteFile(path, f.content, 0o644); err != nil {
			return nil, err
		}
		mounts = append(mounts, ocispec.FileMount{Source: path, Target: f.target})
	}
	owned := slices.Clone(c.Files)
	for i, f := range owned {
		if owned[i].UID, owned[i].GID, err = b.outside(f.UID, f.GID); err != nil {
			return nil, fmt.Errorf("cannot give the owner to %q: %w", f.Target, err)
		}
	}
	account, err := b.account()
	if err != nil {
		return nil, err
	}
	mounts = append(mounts, account...)
	secrets, err := secret.Write(filepath.Join(b.dir, "secrets"), owned, secret.Reader(b.project.engine.cfg.LookupEnv, b.external))
	if err != nil {
		return nil, err
	}
	for _, s := range secrets {
		mounts = append(mounts, ocispec.FileMount{Source: s.Source, Target: s.Target, ReadOnly: true})
	}
	return mounts, nil
}

// external is the content of a secret in podman's store.
func (b *bundle) external(name string) ([]byte, error) {
	store, err := podmanSecrets(b.project.engine)
	if err != nil {
		return nil, err
	}
	return store.Read(name)
}

// remove unmounts and removes the bundle with what is mounted below it.
func (b *bundle) remove() error {
	if _, err := os.Stat(b.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(unbindAll(b.dir), unmountShm(b.dir), secret.Remove(filepath.Join(b.dir, "secrets")), os.RemoveAll(b.dir))
}
