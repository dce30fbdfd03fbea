package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/sandbox"
)

// openSandbox makes the pod's network, or takes over what the keeper holds of it.
func (s *Supervisor) openSandbox(ctx context.Context, kept map[string][]*os.File) {
	config := sandbox.Config{ID: s.pod.ID, Name: s.pod.Name, Cells: s.pod.Cells, LockFile: s.pod.LockFile}
	files := map[string]*os.File{}
	for key, f := range kept {
		if strings.HasPrefix(key, "netns/") || strings.HasPrefix(key, "listen/") {
			files[key] = f[0]
		}
	}
	if len(files) > 0 {
		s.sandbox, s.broken = sandbox.Adopt(ctx, config, files)
	} else {
		s.sandbox, s.broken = sandbox.Create(ctx, config)
	}
	if s.broken == nil {
		s.broken = errors.Join(s.keepSandbox(), s.linkCells())
	}
}

// keepSandbox gives the keeper what it does not hold yet of the sandbox, and takes back what is no more.
func (s *Supervisor) keepSandbox() error {
	files, err := s.sandbox.Files()
	if err != nil {
		return err
	}
	kept, err := s.keeper.List()
	if err != nil {
		return err
	}
	for key, f := range kept {
		for _, f := range f {
			f.Close()
		}
		if strings.HasPrefix(key, "listen/") && files[key] == nil {
			err = errors.Join(err, s.keeper.Drop(key))
		}
	}
	for key, f := range files {
		if kept[key] == nil {
			_, putErr := s.keeper.Put(key, f)
			err = errors.Join(err, putErr)
		}
		f.Close()
	}
	return err
}

// linkCells points the stable paths of the cells' namespaces at the keeper's files.
func (s *Supervisor) linkCells() error {
	keeperPID, _ := keeper.Find(s.dir)
	if err := os.MkdirAll(filepath.Join(s.dir, "cells"), 0o700); err != nil {
		return err
	}
	for _, cell := range s.pod.Cells {
		f, err := os.Open(s.sandbox.NamespacePath(cell.Name))
		if err != nil {
			return err
		}
		numbers, err := s.keeper.Put("netns/"+cell.Name, f)
		f.Close()
		if err != nil {
			return err
		}
		link := filepath.Join(s.dir, "cells", cell.Name)
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(fmt.Sprintf("/proc/%d/fd/%d", keeperPID, numbers[0]), link); err != nil {
			return err
		}
	}
	return nil
}

// publish makes exactly these ports published.
func (s *Supervisor) publish(ports []pod.Port) ([]pod.Port, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	bound, err := s.sandbox.Publish(ports)
	if err != nil {
		return nil, err
	}
	return bound, s.keepSandbox()
}
