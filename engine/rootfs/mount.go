package rootfs

import (
	"errors"
	"fmt"

	"go.podman.io/storage"
)

// Mount mounts the root of a container and gives its path. Idempotent: a mounted root stays as it is. The mount
// outlives the process, until Unmount, Remove or a reboot.
func (r *Roots) Mount(id string) (string, error) {
	path, err := r.store.Mount(id, "")
	if err != nil {
		return "", fmt.Errorf("cannot mount root of container %.12s: %w", id, unknown(err))
	}
	return path, nil
}

// Unmount undoes every Mount of a container's root. Idempotent; a root that does not exist is not mounted.
func (r *Roots) Unmount(id string) error {
	// The store counts mounts; force takes the count to zero, which is what idempotent Mounts mean.
	_, err := r.store.Unmount(id, true)
	if err == nil || errors.Is(err, storage.ErrLayerUnknown) || errors.Is(err, storage.ErrLayerNotMounted) {
		return nil
	}
	return fmt.Errorf("cannot unmount root of container %.12s: %w", id, err)
}

// Remove deletes the root of a container with everything written to it, unmounting it first; nil means "it is gone".
// Other containers' roots and the image are untouched.
func (r *Roots) Remove(id string) error {
	// The record says which layer; one without a record has the container's ID (see Create).
	if _, err := r.store.Container(id); errors.Is(err, storage.ErrContainerUnknown) {
		err := r.store.DeleteLayer(id)
		if err == nil || errors.Is(err, storage.ErrLayerUnknown) || errors.Is(err, storage.ErrNotALayer) {
			return nil
		}
		return fmt.Errorf("cannot remove what is left of container %.12s: %w", id, err)
	}
	// This unmounts too, and deletes the files after it has let go of the store's locks.
	err := r.store.DeleteContainer(id)
	if err == nil || errors.Is(err, storage.ErrNotAContainer) || errors.Is(err, storage.ErrContainerUnknown) {
		return nil
	}
	return fmt.Errorf("cannot remove root of container %.12s: %w", id, err)
}

// Labels gives the SELinux labels of a container's process and of its mounts, chosen when its root was made; both are
// "" where SELinux is off or Options.LabelOpts disabled it.
func (r *Roots) Labels(id string) (process, mount string, err error) {
	c, err := r.store.Container(id)
	if err != nil {
		return "", "", fmt.Errorf("cannot read labels of container %.12s: %w", id, unknown(err))
	}
	return c.ProcessLabel(), c.MountLabel(), nil
}

// unknown says in our words what the store says in its own.
func unknown(err error) error {
	if errors.Is(err, storage.ErrLayerUnknown) || errors.Is(err, storage.ErrContainerUnknown) {
		return errors.New("it does not exist")
	}
	return err
}
