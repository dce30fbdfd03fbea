package secret

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.podman.io/common/pkg/secrets"
)

// ErrNotFound is wrapped by errors about a secret that podman's store does not have.
var ErrNotFound = errors.New("no such secret")

// Podman is podman's store of secrets, which external secrets and configs name. It is only read.
type Podman struct{ dir string }

// OpenPodman is the store in a directory: GRAPHROOT/secrets, where podman keeps it. One that does not exist is empty.
func OpenPodman(dir string) *Podman { return &Podman{dir} }

// manager is nil where podman has never made a secret: looking must not make its directory.
func (p *Podman) manager() (*secrets.SecretsManager, error) {
	if _, err := os.Stat(p.dir); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	m, err := secrets.NewManager(p.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open podman's secrets: %w", err)
	}
	return m, nil
}

// Version is what changes when a secret gets other content; ErrNotFound for none of that name or ID.
func (p *Podman) Version(name string) (string, error) {
	m, err := p.manager()
	if err != nil {
		return "", err
	}
	if m == nil {
		return "", fmt.Errorf("secret %q: %w", name, ErrNotFound)
	}
	found, err := m.Lookup(name)
	if err != nil {
		return "", p.failed(name, err)
	}
	return found.ID + " " + found.UpdatedAt.UTC().Format(time.RFC3339Nano), nil
}

// Read is the content of a secret, by the driver it was made with; ErrNotFound for none of that name or ID.
func (p *Podman) Read(name string) ([]byte, error) {
	m, err := p.manager()
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("secret %q: %w", name, ErrNotFound)
	}
	_, content, err := m.LookupSecretData(name)
	if err != nil {
		return nil, p.failed(name, err)
	}
	return content, nil
}

func (p *Podman) failed(name string, err error) error {
	if errors.Is(err, secrets.ErrNoSuchSecret) {
		return fmt.Errorf("secret %q: %w", name, ErrNotFound)
	}
	return fmt.Errorf("cannot read podman's secret %q: %w", name, err)
}
