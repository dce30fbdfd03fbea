package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/buildah/define"
)

// fetch is the folder that a context means, brought here where it is elsewhere; remote says that it was.
func (o *order) fetch(ctx context.Context, where string) (dir string, remote bool, err error) {
	if where == "" { // an inline Dockerfile that takes nothing from a context
		dir = filepath.Join(o.dir, "context")
		return dir, false, os.MkdirAll(dir, 0o700)
	}
	if dir, ok, err := o.cfg.Checkout(ctx, where); ok {
		return dir, true, err
	}
	if strings.HasPrefix(where, "http://") || strings.HasPrefix(where, "https://") {
		dir, below, err := define.TempDirForURL(o.shop.tmp(), "context-", where)
		if err != nil {
			return "", false, fmt.Errorf("cannot fetch context %q: %w", where, err)
		}
		return filepath.Join(dir, below), true, nil
	}
	info, err := os.Stat(where)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false, fmt.Errorf("there is no context %q", where)
	case err != nil:
		return "", false, fmt.Errorf("cannot read the context: %w", err)
	case !info.IsDir():
		return "", false, fmt.Errorf("the context %q is no folder", where)
	}
	return where, false, nil
}

// isImage says whether an additional context is an image.
func isImage(value string) bool {
	_, ok := strings.CutPrefix(value, imagePrefix)
	return ok
}

const imagePrefix = "docker-image://"
