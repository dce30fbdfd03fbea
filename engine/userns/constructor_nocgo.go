//go:build !cgo

package userns

import (
	"os"
	"syscall"
)

// constructed: without cgo there is no constructor, and users cannot enter.
func constructed() state {
	s := state{uid: os.Geteuid(), gid: os.Getegid(), record: -1}
	if s.uid != 0 {
		s.step, s.cause = "cannot enter a user namespace: this binary was built without cgo", syscall.ENOSYS
	}
	return s
}
