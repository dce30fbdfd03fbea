package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/pod"
)

// Commit makes an image of a container, running or not, and gives its ID. With pause, one that runs rests meanwhile, and
// goes on also where this process or the supervisor is killed. The caller holds the project's lock.
func (f Files) Commit(ctx context.Context, c pod.ContainerStatus, pause bool, commit image.Commit) (id string, err error) {
	p := f.project
	store, err := p.engine.store()
	if err != nil {
		return "", err
	}
	if pause && c.Run.State == pod.StateRunning {
		release, err := p.client().hold(ctx, c.ID)
		if err != nil {
			return "", fmt.Errorf("cannot commit: %w", err)
		}
		defer func() { err = errors.Join(err, release()) }()
	}
	commit.ID, commit.Container, commit.CreatedBy, commit.At = c.ID, c.Container, strings.Join(c.Argv, " "), time.Now().UTC()
	return commit.Into(store)
}
