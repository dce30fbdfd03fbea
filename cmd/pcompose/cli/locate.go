package cli

import (
	"errors"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/planner"
)

// locate puts the place in the file before each error about what the file names and does not exist.
func (env *Env) locate(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, env.locate(e))
		}
		return errors.Join(errs...)
	}
	var absent *planner.Absent
	if env.loaded == nil || !errors.As(err, &absent) {
		return err
	}
	return compose.Problem{At: env.loaded.At(env.path(absent)), Message: err.Error()}
}

// path is where the file names what is absent.
func (env *Env) path(a *planner.Absent) string {
	model := env.loaded.Model
	switch a.Kind {
	case planner.AbsentContainer:
		return "services." + a.Service + ".volumes_from.container:" + a.Name
	case planner.AbsentVolume:
		for key, v := range model.Volumes {
			if v.Name == a.Name {
				return "volumes." + key
			}
		}
	}
	return "services." + a.Service
}
