package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/resolver"
	"github.com/pcompose/pcompose/pod/sandbox"
)

// network is the pod's network and what the keeper holds of it. Past its opening it is the loop's alone.
type network struct {
	dir    string
	pod    control.Pod
	keeper *keeper.Client
	// warn writes to the log beside the keeper's.
	warn func(string)
	// sandbox is nil where it could not be made, and after the end; broken then says why, and every start fails
	// with it.
	sandbox *sandbox.Sandbox
	broken  error
	// names has the resolver of each cell that has one.
	names map[string]*resolver.Server
	// hubs are those of the shared networks that the pod has joined, by their names on the machine.
	hubs map[string]*os.File
}

// open makes the pod's network, or takes over what the keeper holds of it.
func (n *network) open(ctx context.Context, kept map[string][]*os.File) {
	if n.broken = n.meet(kept); n.broken != nil {
		return
	}
	config := sandbox.Config{ID: n.pod.ID, Name: n.pod.Name, LockFile: n.pod.LockFile, Cells: n.pod.Topology.Cells,
		Networks: n.pod.Topology.Networks, Members: n.pod.Topology.Members, Outlet: n.pod.Outlet, Dir: n.dir, Warn: n.warn, Hubs: n.hubs}
	files := map[string]*os.File{}
	for key, f := range kept {
		if ofSandbox(key) {
			files[key] = f[0]
		}
	}
	if len(files) > 0 {
		n.sandbox, n.broken = sandbox.Adopt(ctx, config, files)
	} else {
		n.sandbox, n.broken = sandbox.Create(ctx, config)
	}
	if n.broken == nil {
		n.broken = errors.Join(n.keep(), n.part(kept), n.link(), n.openNames())
	}
}

// ofSandbox says whether a key of the keeper is one of sandbox.Files.
func ofSandbox(key string) bool {
	kind, _, _ := strings.Cut(key, "/")
	return kind == "netns" || kind == "listen" || kind == "outlet"
}

// keep gives the keeper what it does not hold yet of the sandbox, and takes back what is no more.
func (n *network) keep() error {
	files, err := n.sandbox.Files()
	if err != nil {
		return err
	}
	kept, err := n.keeper.List()
	if err != nil {
		return err
	}
	// What is new is kept before what is old goes: a socket may be both, under another key.
	for key, f := range files {
		if !slices.ContainsFunc(kept[key], func(k *os.File) bool { return sameFile(k, f) }) {
			_, putErr := n.keeper.Put(key, f)
			err = errors.Join(err, putErr)
		}
		f.Close()
	}
	for key, f := range kept {
		for _, f := range f {
			f.Close()
		}
		if ofSandbox(key) && files[key] == nil {
			err = errors.Join(err, n.keeper.Drop(key))
		}
	}
	return err
}

// sameFile says whether two descriptors are of one socket or namespace.
func sameFile(a, b *os.File) bool {
	as, aErr := a.Stat()
	bs, bErr := b.Stat()
	return aErr == nil && bErr == nil && os.SameFile(as, bs)
}

// link points the stable paths of the cells' namespaces at the keeper's files, and removes those of cells that are no
// more. One that is right is not touched: a container may be about to use it.
func (n *network) link() error {
	keeperPID, _ := keeper.Find(n.dir)
	dir := filepath.Join(n.dir, "cells")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, cell := range n.pod.Topology.Cells {
		if err := n.linkCell(filepath.Join(dir, cell.Name), cell.Name, keeperPID); err != nil {
			return err
		}
	}
	there, err := os.ReadDir(dir)
	for _, e := range there {
		if !slices.ContainsFunc(n.pod.Topology.Cells, func(c pod.Cell) bool { return c.Name == e.Name() }) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

func (n *network) linkCell(link, cell string, keeperPID int) error {
	if to, err := os.Readlink(link); err == nil && filepath.Dir(to) == fmt.Sprintf("/proc/%d/fd", keeperPID) {
		if _, err := os.Stat(link); err == nil {
			return nil
		}
	}
	f, err := os.Open(n.sandbox.NamespacePath(cell))
	if err != nil {
		return err
	}
	numbers, err := n.keeper.Put("netns/"+cell, f)
	f.Close()
	if err != nil {
		return err
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(fmt.Sprintf("/proc/%d/fd/%d", keeperPID, numbers[0]), link)
}

// publish makes exactly these ports published.
func (n *network) publish(ports []pod.Port) ([]pod.Port, error) {
	if n.broken != nil {
		return nil, n.broken
	}
	bound, err := n.sandbox.Publish(ports)
	if err != nil {
		return nil, err
	}
	return bound, n.keep()
}

// close takes the network down; nothing starts afterwards.
func (n *network) close() error {
	if err := n.closeNames(); err != nil {
		return err
	}
	if n.sandbox != nil {
		if err := n.sandbox.Close(); err != nil {
			return err
		}
	}
	n.sandbox, n.broken = nil, errShutdown
	var errs []error
	for name := range maps.Clone(n.hubs) {
		errs = append(errs, n.leave(name))
	}
	return errors.Join(errs...)
}
