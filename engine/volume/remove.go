package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	sysmount "go.podman.io/storage/pkg/mount"
)

// Remove deletes a volume with its content; nil means "it is gone". It refuses while containers, whose names the
// caller gives, use it. What it mounted is unmounted, never deleted: a bound host directory or an export stays as it is.
func (s *Store) Remove(name string, users []string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if len(users) > 0 {
		who := fmt.Sprintf("container %q uses it", users[0])
		if len(users) > 1 {
			who = fmt.Sprintf(`containers "%s" use it`, strings.Join(users, `", "`))
		}
		return fmt.Errorf("cannot remove volume %q: %s", name, who)
	}
	if err := s.remove(name); err != nil {
		return fmt.Errorf("cannot remove volume %q: %w", name, err)
	}
	return nil
}

func (s *Store) remove(name string) error {
	unlock, err := lock(s.root)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	if err := unmount(s.path(name)); err != nil {
		return err
	}
	gone := filepath.Join(s.root, ".gone-"+name)
	// A removal that was killed may have left one; it is cleared here, whether or not the volume exists again.
	for _, dir := range []string{gone, s.dir(name)} {
		if err := unmounted(dir); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(gone); err != nil {
		return err
	}
	if err := os.Rename(s.dir(name), gone); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(gone)
}

// unmounted is an error where something is mounted at or below a directory: deleting it would delete that.
func unmounted(dir string) error {
	mounts, err := sysmount.GetMounts()
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if m.Mountpoint == dir || strings.HasPrefix(m.Mountpoint, dir+"/") {
			return fmt.Errorf("%q is mounted", m.Mountpoint)
		}
	}
	return nil
}

// Prune removes the volumes that keep does not want, and gives their names, sorted. What it cannot remove it goes
// past, and says at the end.
func (s *Store) Prune(keep func(Volume) bool) ([]string, error) {
	volumes, err := s.List()
	failed := []error{err}
	var removed []string
	for _, v := range volumes {
		if keep(v) {
			continue
		}
		if err := s.Remove(v.Name, nil); err != nil {
			failed = append(failed, err)
			continue
		}
		removed = append(removed, v.Name)
	}
	return removed, errors.Join(failed...)
}
