package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/pod"
	"go.podman.io/common/pkg/config"
	"tags.cncf.io/container-device-interface/pkg/cdi"
)

// injectCDI adds devices to a spec as the files of the Container Device Interface say: nodes, mounts, environment, hooks.
func injectCDI(spec *specs.Spec, names []string) error {
	if len(names) == 0 {
		return nil
	}
	cache, dirs, err := openCDI()
	if err != nil {
		return err
	}
	if missing, err := cache.InjectDevices(spec, names...); err != nil {
		if len(missing) > 0 {
			return noDevice(missing, dirs, cache)
		}
		return fmt.Errorf("cannot add CDI devices %s: %w", strings.Join(names, ", "), err)
	}
	return nil
}

// lacking is what the machine lacks to make a container: the OCI runtime it names, or a CDI device.
func lacking(c pod.Container) error {
	if _, _, err := runtimeOf(c); err != nil {
		return err
	}
	if len(c.Isolation.CDI) == 0 {
		return nil
	}
	cache, dirs, err := openCDI()
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(c.Isolation.CDI), func(name string) bool { return cache.GetDevice(name) != nil })
	if len(missing) > 0 {
		return noDevice(missing, dirs, cache)
	}
	return nil
}

// openCDI reads the files in containers.conf's cdi_spec_dirs, else where the Container Device Interface has them.
func openCDI() (*cdi.Cache, []string, error) {
	conf, err := config.Default()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read containers.conf: %w", err)
	}
	dirs := conf.Engine.CdiSpecDirs.Get()
	if len(dirs) == 0 {
		dirs = cdi.DefaultSpecDirs
	}
	cache, err := cdi.NewCache(cdi.WithSpecDirs(dirs...), cdi.WithAutoRefresh(false))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read CDI devices: %w", err)
	}
	return cache, dirs, nil
}

// noDevice says where devices were looked for, and what of these files could not be read.
func noDevice(names, dirs []string, cache *cdi.Cache) error {
	err := fmt.Errorf("no CDI device %s: no file in %s describes it", strings.Join(names, ", "), strings.Join(dirs, ", "))
	var broken []error
	for _, errs := range cache.GetErrors() {
		broken = append(broken, errs...)
	}
	return errors.Join(append([]error{err}, broken...)...)
}
