package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/resolver"
	"github.com/pcompose/pcompose/pod/sandbox"
)

// hosts is a container's /etc/hosts. Its own hostname is its short ID where the file gives none.
func (b *bundle) hosts(gateway netip.Addr) []byte {
	e, err := b.project.editor()
	if err != nil {
		return nil
	}
	c := b.record.Container
	if content := ownersFile(b, "hosts"); content != nil {
		return content
	}
	if c.Hostname == "" {
		c.Hostname = b.record.ID[:12]
	}
	return sandbox.Hosts(c, e.Project().Spec, gateway)
}

// cell is the container's cell as it was planned.
func (b *bundle) cell() pod.Cell {
	if e, err := b.project.editor(); err == nil {
		for _, cell := range e.Project().Spec.Cells {
			if cell.Name == b.record.Container.Cell {
				return cell
			}
		}
	}
	return pod.Cell{Name: b.record.Container.Cell}
}

// resolvConf is a container's /etc/resolv.conf: who has the host's network has the host's.
func (b *bundle) resolvConf(host []byte) []byte {
	cell := b.cell()
	if cell.Mode == pod.NetworkHost {
		return host
	}
	if content := ownersFile(b, "resolv.conf"); content != nil {
		return content
	}
	var server netip.Addr
	if cell.Resolver {
		server = resolver.Addr()
	}
	return sandbox.ResolvConf(host, b.record.Container.DNS, server, cell.Servers)
}

// linkSysctls are a container's sysctls with those of its places on networks, whose interface is known by now.
func linkSysctls(c pod.Container, cell pod.Cell) map[string]string {
	all := maps.Clone(c.Isolation.Sysctls)
	for _, a := range c.Networks {
		for _, l := range cell.Links {
			for name, value := range a.Sysctls {
				if l.Network != a.Network {
					continue
				}
				if all == nil {
					all = map[string]string{}
				}
				all[strings.ReplaceAll(name, "IFNAME", l.Interface)] = value
			}
		}
	}
	return all
}

// namesHost says whether a container's hosts file has a name for the host.
func namesHost(c pod.Container) bool {
	return !c.NoHosts && slices.ContainsFunc(c.ExtraHosts, func(h pod.Host) bool { return h.IP == pod.HostGateway })
}

// writeHosts writes /etc/hosts again, in place, for a container that names the host: its address is known once
// the pod's network is there.
func (b *bundle) writeHosts(ctx context.Context) error {
	if !namesHost(b.record.Container) {
		return nil
	}
	gateway, err := gateway(ctx, b.project)
	if err == nil && !gateway.IsValid() {
		err = errors.New("the pod has no way to the host, which extra_hosts names")
	}
	if err != nil {
		return err
	}
	return rewrite(filepath.Join(b.dir, "hosts"), b.hosts(gateway))
}

// gateway is the host as the pod sees it; invalid where there is none.
func gateway(ctx context.Context, p *Project) (netip.Addr, error) {
	reply, err := p.client().ask(ctx, control.Request{Status: &struct{}{}})
	if err != nil {
		return netip.Addr{}, err
	}
	addr, err := netip.ParseAddr(reply.Gateway)
	if err != nil {
		return netip.Addr{}, nil
	}
	return addr, nil
}

// rename writes the hosts files of all containers anew, in place, so that those that run see who came and who went.
func rename(ctx context.Context, p *Project) error {
	e, err := p.editor()
	if err != nil {
		return err
	}
	var host netip.Addr
	var errs []error
	for _, r := range e.Project().Containers {
		b := p.bundle(r)
		path := filepath.Join(b.dir, "hosts")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if namesHost(r.Container) && !host.IsValid() {
			if host, err = gateway(ctx, p); errors.Is(err, errDown) || err == nil && !host.IsValid() {
				continue // it is written when the container starts
			} else if err != nil {
				return err
			}
		}
		errs = append(errs, rewrite(path, b.hosts(host)))
	}
	return errors.Join(errs...)
}

// rewrite changes the content of a file that is mounted in a container, which another file in its place would not
// reach. A reader sees the old content, the new one or the begin of one with the end of the other, but never none.
func rewrite(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == string(content) {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cannot write hosts file: %w", err)
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Truncate(int64(len(content)))
	}
	return errors.Join(err, f.Close())
}
