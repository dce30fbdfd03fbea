package engine

import (
	"path/filepath"

	"github.com/pcompose/pcompose/engine/cache"
)

// Bundles are the folders of the offline bundles that were unpacked, by their IDs. Containers have mounts of them.
func Bundles(e *Engine) cache.Dir { return cache.Dir(filepath.Join(e.cfg.Root, "bundles")) }
