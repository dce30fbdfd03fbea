package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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
)

// prepare mounts a container's root and writes its bundle: config.json, the files it gets from us, and last
// bundle.json, which says that the rest is there. Idempotent.
func (p *Project) prepare(ctx context.Context, r state.Record, config image.RunConfig, report func(execute.Progress)) error {
	roots, err := p.engine.roots()
	if err != nil {
		return err
	}
	root, err := roots.Mount(r.ID)
	if err != nil {
		return err
	}
	dir := p.engine.state.BundleDir(p.name, r.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	in, err := p.specInput(ctx, r, config, root)
	if err != nil {
		return err
	}
	spec, warnings, err := ocispec.Spec(in)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		report(execute.Progress{Warning: fmt.Sprintf("container %s: %s", r.Container.Name, w)})
	}
	return p.writeBundle(r, config, spec, dir)
}

func (p *Project) writeBundle(r state.Record, config image.RunConfig, spec *specs.Spec, dir string) error {
	filter, err := p.engine.filter(spec)
	if err != nil {
		return err
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), b, 0o600); err != nil {
		return err
	}
	h, err := p.engine.host()
	if err != nil {
		return err
	}
	bundle := control.Bundle{
		ID: r.ID, Container: effective(r.Container, config), Cgroup: spec.Linux.CgroupsPath,
		LogDir: p.engine.state.LogDir(p.name, r.ID), UID: int(spec.Process.User.UID), GID: int(spec.Process.User.GID),
		Filter: filter,
	}
	if lifecycle.Checked(bundle.Container) {
		bundle.Probe, err = ocispec.Process(spec, ocispec.Exec{Argv: probeArgv(bundle.Container.Health.Test)}, h.Host)
		if err != nil {
			return err
		}
	}
	return control.WriteBundle(dir, bundle)
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
func (p *Project) specInput(ctx context.Context, r state.Record, config image.RunConfig, root string) (in ocispec.Input, err error) {
	h, err := p.engine.host()
	if err != nil {
		return in, err
	}
	c := r.Container
	in = ocispec.Input{
		Container: c, Host: h.Host, Rootfs: root, InitPath: h.init,
		NetNS:      state.CellPath(p.runDir(), c.Cell),
		CgroupPath: p.engine.cgroup(p.name) + "/" + r.ID,
		Image:      imageConfig(config),
	}
	who := c.User
	if who == "" {
		who = config.User
	}
	id, err := rootfs.User(root, who, c.Groups)
	if err != nil {
		return in, err
	}
	in.User = ocispec.User{UID: uint32(id.UID), GID: uint32(id.GID), Home: id.Home}
	for _, g := range id.Groups {
		in.User.Groups = append(in.User.Groups, uint32(g))
	}
	if err := p.workingDir(c, config, root); err != nil {
		return in, err
	}
	if in.Mounts, err = p.mounts(ctx, r, root); err != nil {
		return in, err
	}
	if in.Files, err = p.files(r); err != nil {
		return in, err
	}
	if in.Devices, err = devices(c); err != nil {
		return in, err
	}
	if profile := c.Isolation.Seccomp; strings.HasPrefix(profile, "/") {
		if in.SeccompProfile, err = os.ReadFile(profile); err != nil {
			return in, fmt.Errorf("cannot read seccomp profile: %w", err)
		}
	}
	return in, nil
}

func (p *Project) workingDir(c pod.Container, config image.RunConfig, root string) error {
	dir := c.WorkingDir
	if dir == "" {
		dir = config.WorkingDir
	}
	if dir == "" {
		return nil
	}
	return rootfs.EnsureDir(root, dir, 0, 0)
}

// files writes what a container gets from us beside its image: hosts, resolv.conf, hostname, secrets and configs.
func (p *Project) files(r state.Record) ([]ocispec.FileMount, error) {
	dir := p.engine.state.BundleDir(p.name, r.ID)
	host, err := sandbox.HostResolvConf("/")
	if err != nil {
		return nil, err
	}
	hostname := r.Container.Hostname
	if hostname == "" {
		hostname = r.ID[:12]
	}
	ours := []struct {
		target  string
		content []byte
	}{
		{"/etc/hosts", p.hosts(r, netip.Addr{})},
		{"/etc/resolv.conf", sandbox.ResolvConf(host, r.Container.DNS)},
		{"/etc/hostname", []byte(hostname + "\n")},
	}
	var mounts []ocispec.FileMount
	for _, f := range ours {
		path := filepath.Join(dir, filepath.Base(f.target))
		if err := os.WriteFile(path, f.content, 0o644); err != nil {
			return nil, err
		}
		mounts = append(mounts, ocispec.FileMount{Source: path, Target: f.target})
	}
	secrets, err := secret.Write(filepath.Join(dir, "secrets"), r.Container.Files, secret.Reader(p.engine.cfg.LookupEnv))
	if err != nil {
		return nil, err
	}
	for _, s := range secrets {
		mounts = append(mounts, ocispec.FileMount{Source: s.Source, Target: s.Target, ReadOnly: true})
	}
	return mounts, nil
}

// hosts is a container's /etc/hosts. Its own hostname is its short ID where the file gives none.
func (p *Project) hosts(r state.Record, gateway netip.Addr) []byte {
	e, err := p.editor()
	if err != nil {
		return nil
	}
	c := r.Container
	if c.Hostname == "" {
		c.Hostname = r.ID[:12]
	}
	return sandbox.Hosts(c, e.Project().Spec.Containers, gateway)
}

// writeHosts writes /etc/hosts again, in place, for a container that names the host: its address is known once
// the pod's network is there.
func (p *Project) writeHosts(ctx context.Context, r state.Record) error {
	named := false
	for _, h := range r.Container.ExtraHosts {
		named = named || h.IP == pod.HostGateway
	}
	if !named {
		return nil
	}
	reply, err := p.ask(ctx, control.Request{Status: &struct{}{}})
	if err != nil {
		return err
	}
	gateway, err := netip.ParseAddr(reply.Gateway)
	if err != nil {
		return errors.New("the pod has no way to the host, which extra_hosts names")
	}
	return os.WriteFile(filepath.Join(p.engine.state.BundleDir(p.name, r.ID), "hosts"), p.hosts(r, gateway), 0o644)
}
