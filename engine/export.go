package engine

import (
	"context"
	"io"
	"os"

	"github.com/pcompose/pcompose/engine/archive"
)

// Export writes a container's root as a tar stream: what its image and its processes put there. Volumes and mounts are
// the empty directories they are mounted on, as docker has it.
func (f Files) Export(ctx context.Context, container string, w io.Writer) error {
	p := f.project
	r, err := p.record(container)
	if err != nil {
		return err
	}
	roots, err := p.engine.roots()
	if err != nil {
		return err
	}
	path, err := roots.Mount(r.ID)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	return archive.PackAll(ctx, w, root)
}
