package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/volume"
)

// intent is what a command that has no plan would do to one object.
type intent struct{ object, action, why string }

// would prints what a command would do, as a plan prints.
func (env *Env) would(intents []intent) error {
	if len(intents) == 0 {
		env.ui.Line("nothing to do")
		return nil
	}
	rows := make([][]string, len(intents))
	for i, n := range intents {
		rows[i] = []string{n.object, n.action, n.why}
	}
	return env.ui.Table(ui.Compact, []string{"OBJECT", "ACTION", "WHY"}, rows)
}

// intentToRemove is what volume rm would do, with the errors it would end with.
func intentToRemove(volumes *volume.Store, names []string, force bool, users map[string][]string) ([]intent, error) {
	var intents []intent
	var errs []error
	for _, name := range names {
		exists, err := volumes.Exists(name)
		switch {
		case err != nil:
		case !exists && !force:
			err = fmt.Errorf("cannot remove volume %q: %w", name, volume.ErrNotFound)
		case exists && len(users[name]) > 0:
			err = fmt.Errorf("cannot remove volume %q: in use by %s", name, strings.Join(users[name], ", "))
		case exists:
			intents = append(intents, intent{"volume/" + name, "remove", "asked to remove (loses the data in it)"})
		}
		errs = append(errs, err)
	}
	return intents, errors.Join(errs...)
}

// intentToPrune is what volume prune would do.
func intentToPrune(volumes *volume.Store, keep func(volume.Volume) bool) ([]intent, error) {
	all, err := volumes.List()
	var intents []intent
	for _, v := range all {
		if !keep(v) {
			intents = append(intents, intent{"volume/" + v.Name, "remove", "no container uses it (loses the data in it)"})
		}
	}
	return intents, err
}

// intentToRemoveImages is what image rm would do, with the errors it would end with.
func intentToRemoveImages(store *image.Store, refs []string, force bool) ([]intent, error) {
	var intents []intent
	var errs []error
	for _, ref := range refs {
		d, err := store.Inspect(ref)
		switch {
		case err != nil:
		case len(d.Containers) > 0 && !force:
			err = fmt.Errorf("cannot remove image %q: used by %s", ref, strings.Join(d.Containers, ", "))
		default:
			intents = append(intents, intent{"image/" + ref, "remove", "asked to remove"})
		}
		errs = append(errs, err)
	}
	return intents, errors.Join(errs...)
}

// intentForImages is one action on images that must be there.
func intentForImages(store *image.Store, refs []string, action, why string) ([]intent, error) {
	var intents []intent
	var errs []error
	for _, ref := range refs {
		_, err := store.Inspect(ref)
		if err == nil {
			intents = append(intents, intent{"image/" + ref, action, why})
		}
		errs = append(errs, err)
	}
	return intents, errors.Join(errs...)
}

// intentToPruneImages is what image prune would do.
func intentToPruneImages(store *image.Store, all bool) ([]intent, error) {
	images, err := store.List()
	var intents []intent
	for _, img := range images {
		if len(img.Containers) > 0 || len(img.Names) > 0 && !all {
			continue
		}
		name := "image/" + shortID(img.ID)
		if len(img.Names) > 0 {
			name = "image/" + strings.Join(slices.Sorted(slices.Values(img.Names)), ", ")
		}
		intents = append(intents, intent{name, "remove", "no container uses it"})
	}
	return intents, err
}
