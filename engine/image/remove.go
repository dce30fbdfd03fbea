package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// Removed is what a removal took away.
type Removed struct {
	// Untagged are the names that no longer mean an image; Deleted the IDs of images that are gone.
	Untagged, Deleted []string
	// Freed is the bytes of the unpacked layers that are gone.
	Freed int64
}

// Tag gives an image a further name; another image that had it loses it. A name without a registry is Docker Hub's,
// without a tag it is latest.
func (s *Store) Tag(ref, name string) error {
	img, err := s.find(ref)
	if err != nil {
		return cannot("tag", ref, err)
	}
	full := hub(name)
	if full == nil {
		return fmt.Errorf("cannot tag image %q: name %q is not valid", ref, name)
	}
	if _, digested := full.(reference.Digested); digested {
		return fmt.Errorf("cannot tag image %q: name %q has a digest", ref, name)
	}
	if err := s.storage.AddNames(img.ID, []string{full.String()}); err != nil {
		return fmt.Errorf("cannot tag image %q: %w", ref, err)
	}
	return nil
}

// Remove takes a name from an image, and with its last name the image. A reference by ID takes all names, which needs
// force where there are several. An image that a container was made from is kept, with an error naming the container;
// with force it loses its names only, and Prune takes it once the container is gone.
func (s *Store) Remove(ref string, force bool) (Removed, error) {
	img, err := s.find(ref)
	if err != nil {
		return Removed{}, cannot("remove", ref, err)
	}
	names := img.Names
	if named := nameMeant(&s.sys, ref, img); named != "" {
		names = []string{named}
	} else if len(names) > 1 && !force {
		return Removed{}, fmt.Errorf("cannot remove image %q: it has the names %s (force takes them all)", ref, strings.Join(names, ", "))
	}
	last := len(names) == len(img.Names)
	users, err := usersOf(s.storage)
	if err != nil {
		return Removed{}, err
	}
	if used := users[img.ID]; last && len(used) > 0 {
		if !force {
			return Removed{}, fmt.Errorf("cannot remove image %q: %s", ref, inUse(used))
		}
		last = false
	}
	if last {
		return remove(s.storage, []storage.Image{*img})
	}
	if err := s.storage.RemoveNames(img.ID, names); err != nil {
		return Removed{}, fmt.Errorf("cannot remove image %q: %w", ref, err)
	}
	return Removed{Untagged: names}, nil
}

// cannot is the error of a lookup: one that found nothing named the image, which is not said twice.
func cannot(verb, ref string, err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("cannot %s image %q: %w", verb, ref, ErrNotFound)
	}
	return fmt.Errorf("cannot %s: %w", verb, err)
}

// inUse says which containers use something.
func inUse(containers []string) string {
	if len(containers) == 1 {
		return fmt.Sprintf("container %q uses it", containers[0])
	}
	return fmt.Sprintf(`containers "%s" use it`, strings.Join(containers, `", "`))
}

// nameMeant is the image's name that a reference found it by, "" when that was its ID or a digest.
func nameMeant(sys *types.SystemContext, ref string, img *storage.Image) string {
	names, err := localNames(sys, ref)
	if err != nil {
		return ""
	}
	for _, name := range names {
		if slices.Contains(img.Names, name.String()) {
			return name.String()
		}
	}
	return ""
}

// Prune removes the images that have no name and no container; with all, those that have no container. What it
// cannot remove it goes past, and says at the end.
func (s *Store) Prune(all bool) (Removed, error) {
	images, err := s.storage.Images()
	if err != nil {
		return Removed{}, fmt.Errorf("cannot list images: %w", err)
	}
	users, err := usersOf(s.storage)
	if err != nil {
		return Removed{}, err
	}
	images = slices.DeleteFunc(images, func(img storage.Image) bool {
		return len(users[img.ID]) > 0 || (len(img.Names) > 0 && !all)
	})
	return remove(s.storage, images)
}

// PruneOf is Prune of some images, by their IDs: those of them that have lost their names and have no container.
func PruneOf(s *Store, ids []string) error {
	images, err := s.storage.Images()
	if err != nil {
		return fmt.Errorf("cannot list images: %w", err)
	}
	users, err := usersOf(s.storage)
	if err != nil {
		return err
	}
	images = slices.DeleteFunc(images, func(img storage.Image) bool {
		return !slices.Contains(ids, img.ID) || len(users[img.ID])+len(img.Names) > 0
	})
	_, err = remove(s.storage, images)
	return err
}

// remove deletes images with the layers that nothing else needs.
func remove(store storage.Store, images []storage.Image) (Removed, error) {
	layers, err := layersOf(store)
	if err != nil {
		return Removed{}, err
	}
	var removed Removed
	var failed []error
	for _, img := range images {
		gone, err := store.DeleteImage(img.ID, true)
		if errors.Is(err, storage.ErrImageUnknown) {
			continue
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("cannot remove image %q: %w", shortID(img.ID), err))
			continue
		}
		removed.Untagged = append(removed.Untagged, img.Names...)
		removed.Deleted = append(removed.Deleted, img.ID)
		for _, layer := range gone {
			removed.Freed += max(layers[layer].UncompressedSize, 0)
		}
	}
	return removed, errors.Join(failed...)
}
