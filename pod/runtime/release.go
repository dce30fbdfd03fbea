package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// release does what crun's start does: it writes a byte to a FIFO that the container's first process waits at, and removes
// the FIFO, by which crun tells a running container from a created one (libcrun, status.c, so since 2018). The program
// would need as long for it as for its create. It is left to the program, false, where there is more to do, hooks, or where
// this is not as expected: nobody waits, or nothing to wait at is there.
func (r *Program) release(id string) (done bool, err error) {
	dir := filepath.Join(r.cfg.Root, id)
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil || bytes.Contains(config, []byte(`"poststart"`)) {
		return false, nil
	}
	path := filepath.Join(dir, "exec.fifo")
	// Without O_NONBLOCK it would wait for a reader; with it, no reader is ENXIO (fifo(7)).
	fifo, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENXIO) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer fifo.Close()
	if st, err := fifo.Stat(); err != nil || st.Mode()&os.ModeNamedPipe == 0 {
		return false, err
	}
	// Removed first, as crun does: two that come at once do not both begin.
	if err := os.Remove(path); err != nil {
		return false, err
	}
	if _, err := fifo.Write([]byte{0}); err != nil {
		return false, fmt.Errorf("cannot wake the first process: %w", err)
	}
	return true, nil
}
