package machine

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// workPrefix begins the names of folders that tries are made in. Each is locked (flock(2)) by the process whose it is.
const workPrefix = ".pcompose-try-"

// newWork makes a folder to try in. Who sweeps before it is locked takes it for a dead one's: then it is made again.
func newWork(dir string) (*os.File, error) {
	for range 10 {
		path, err := os.MkdirTemp(dir, workPrefix)
		if err != nil {
			return nil, err
		}
		if work := lockWork(path); work != nil {
			return work, nil
		}
		removeWork(path)
	}
	return nil, fmt.Errorf("cannot lock a folder in %q", dir)
}

// lockWork opens and locks a folder of this user's that nobody else has; nil where there is none.
func lockWork(path string) *os.File {
	work, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	var own, now unix.Stat_t
	if unix.Flock(int(work.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && unix.Fstat(int(work.Fd()), &own) == nil &&
		unix.Lstat(path, &now) == nil && own.Ino == now.Ino && own.Dev == now.Dev && int(own.Uid) == os.Geteuid() {
		return work
	}
	work.Close()
	return nil
}

// sweep removes what killed processes left in a folder and in those above it: the one to try in was perhaps not there yet.
func sweep(dir string) {
	for ; ; dir = filepath.Dir(dir) {
		left, _ := filepath.Glob(filepath.Join(dir, workPrefix+"*")) // the pattern is well formed
		for _, path := range left {
			if work := lockWork(path); work != nil {
				removeWork(path)
				work.Close()
			}
		}
		if dir == filepath.Dir(dir) {
			return
		}
	}
}

func removeWork(path string) {
	// Overlay keeps a whiteout in a folder of its own, of mode 0, which only root may remove as it is.
	_ = os.Chmod(filepath.Join(path, "work", "work"), 0o700)
	_ = os.RemoveAll(path) // what is left of it tells nobody anything
}
