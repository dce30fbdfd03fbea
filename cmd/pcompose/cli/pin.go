package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/pcompose/pcompose/engine/image"
)

// pin puts the digests that registries have now to the images of services; those without an image stay.
func pin(ctx context.Context, images map[string]string) error {
	registries := image.NewRegistries()
	names := slices.Sorted(maps.Keys(images))
	pinned, failures := make([]string, len(names)), make([]error, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		if images[name] == "" {
			continue
		}
		wait.Go(func() {
			if pinned[i], failures[i] = registries.Pin(ctx, images[name]); failures[i] != nil {
				failures[i] = fmt.Errorf("service %q: %w", name, failures[i])
			}
		})
	}
	wait.Wait()
	for i, name := range names {
		images[name] = pinned[i]
	}
	return errors.Join(failures...)
}
