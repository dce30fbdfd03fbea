package image

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/signature"
	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/homedir"
	"go.podman.io/storage/pkg/unshare"
)

// Setup is what the files that images obey say, for who explains them. A file that cannot be read is an Error in its part,
// and no reason to leave out the others.
type Setup struct {
	Storage    StorageSetup
	Registries RegistriesSetup
	Policy     PolicySetup
	Logins     LoginsSetup
}

// StorageSetup is storage.conf.
type StorageSetup struct {
	Driver, GraphRoot, RunRoot string
	// MountProgram mounts in the kernel's place, as fuse-overlayfs; "" for none. Options are those of the driver, as written.
	MountProgram string
	Options      []string
	Err          error
}

// RegistriesSetup is registries.conf with its drop-ins.
type RegistriesSetup struct {
	// File is "" where there is none.
	File   string
	Search []string
	// All are the registries that it names, by prefix.
	All []sysregistriesv2.Registry
	Err error
}

// PolicySetup is policy.json.
type PolicySetup struct {
	// File is "" where there is none, and Default the type of the rule for what no other names.
	File, Default string
	Err           error
}

// LoginsSetup is auth.json.
type LoginsSetup struct {
	// Files are those that are there and read.
	Files []string
	// Registries are those that credentials are kept for, sorted; by credential helpers too.
	Registries []string
	Err        error
}

// ReadSetup reads the files. It opens no store and changes nothing.
func ReadSetup() Setup {
	sys := NewRegistries().sys
	var s Setup
	options, err := storeOptions()
	s.Storage = StorageSetup{
		Driver: cmp.Or(options.GraphDriverName, strings.Join(options.GraphDriverPriority, ", ")), GraphRoot: options.GraphRoot,
		RunRoot: options.RunRoot, Options: options.GraphDriverOptions, Err: err,
	}
	for _, o := range options.GraphDriverOptions {
		if name, value, _ := strings.Cut(o, "="); strings.HasSuffix(name, "mount_program") {
			s.Storage.MountProgram = value
		}
	}
	if file, exists := registriesFile(); exists {
		s.Registries.File = file
	}
	if s.Registries.All, err = sysregistriesv2.GetRegistries(&sys); err == nil {
		s.Registries.Search, err = sysregistriesv2.UnqualifiedSearchRegistries(&sys)
	}
	if err != nil {
		s.Registries.Err = fmt.Errorf("cannot read registries.conf: %w", err)
	}
	s.Policy = readPolicy()
	s.Logins.Files = authFiles(sys.AuthFilePath)
	credentials, err := config.GetAllCredentials(&sys)
	if err != nil {
		s.Logins.Err = fmt.Errorf("cannot read logins: %w", err)
	}
	s.Logins.Registries = slices.Sorted(maps.Keys(credentials))
	return s
}

// readPolicy reads policy.json as containers/image does when it copies an image.
func readPolicy() PolicySetup {
	policy, err := signature.DefaultPolicy(nil)
	if errors.Is(err, configfile.ErrConfigFileNotFound) {
		return PolicySetup{}
	}
	if err != nil {
		return PolicySetup{Err: fmt.Errorf("cannot read the signature policy: %w", err)}
	}
	var s PolicySetup
	for item, err := range configfile.Read(&configfile.File{Name: "policy", Extension: "json", DoNotLoadDropInFiles: true, EnvironmentName: "CONTAINERS_POLICY_JSON"}) {
		if err == nil {
			s.File = item.Name
		}
	}
	// The types of rules are not exported; what they are written as is.
	var rules []struct {
		Type string `json:"type"`
	}
	if b, err := json.Marshal(policy.Default); err == nil && json.Unmarshal(b, &rules) == nil && len(rules) > 0 {
		s.Default = rules[0].Type
	}
	return s
}

// authFiles are the files of credentials that there are: the one that was named, else the places of
// containers-auth.json(5).
func authFiles(named string) []string {
	paths := []string{named}
	if named == "" {
		configs := cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(homedir.Get(), ".config"))
		paths = []string{filepath.Join(configs, "containers", "auth.json"), filepath.Join(homedir.Get(), ".docker", "config.json")}
		if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
			paths = append(paths, filepath.Join(dir, "containers", "auth.json"))
		}
		paths = append(paths, fmt.Sprintf("/run/containers/%d/auth.json", unshare.GetRootlessUID()))
	}
	return slices.DeleteFunc(paths, func(path string) bool {
		_, err := os.Stat(path)
		return err != nil
	})
}
