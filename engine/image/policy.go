package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/image/v5/signature"
	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/ioutils"
)

// acceptAnything is the policy.json that every distribution ships: signatures are not asked for.
const acceptAnything = `{"default": [{"type": "insecureAcceptAnything"}]}` + "\n"

// policyPath is "" where a policy.json exists, which containers/image then reads and obeys, however strict or broken
// it is. Only where there is none at all, as on a machine without any container packages, it is the path of the
// distributions' default, written into dir: containers/image refuses to copy anything without a policy.
func policyPath(dir string) (string, error) {
	_, err := signature.DefaultPolicy(nil)
	if err == nil {
		return "", nil
	}
	if !errors.Is(err, configfile.ErrConfigFileNotFound) {
		return "", fmt.Errorf("cannot read the signature policy: %w", err)
	}
	path := filepath.Join(dir, "pcompose-policy.json")
	if have, err := os.ReadFile(path); err == nil && string(have) == acceptAnything {
		return path, nil
	}
	if err := ioutils.AtomicWriteFile(path, []byte(acceptAnything), 0o600); err != nil {
		return "", fmt.Errorf("cannot write the default signature policy: %w", err)
	}
	return path, nil
}
