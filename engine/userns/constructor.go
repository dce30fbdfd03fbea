//go:build cgo

package userns

// constructor.c is compiled by cgo and linked as a constructor of every binary that imports this package.

// #cgo CFLAGS: -Wall -Wextra -O2
// #include "userns.h"
import "C"

import "syscall"

// constructed is what the constructor did before Go began.
func constructed() state {
	s := &C.pcompose_userns
	return state{
		inside: s.inside != 0, made: s.made != 0, ordered: s.ordered != 0, record: int(s.record),
		step: C.GoString(s.step), cause: syscall.Errno(s.error), refused: syscall.Errno(s.refused),
		uid: int(s.uid), gid: int(s.gid), said: C.GoString(&s.said[0]),
	}
}
