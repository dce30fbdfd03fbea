//go:build cgo

package pid1

// #cgo CFLAGS: -Wall -Wextra -O2 -fPIC -fno-stack-protector -fomit-frame-pointer
// #include <stddef.h>
// const char *pcompose_pid1_code(void);
// size_t pcompose_pid1_size(void);
// size_t pcompose_pid1_entry(void);
import "C"

import "unsafe"

// code is the machine code of pid1.c, and where in it the kernel enters; empty on a processor it is not written for.
func code() ([]byte, int) {
	return C.GoBytes(unsafe.Pointer(C.pcompose_pid1_code()), C.int(C.pcompose_pid1_size())), int(C.pcompose_pid1_entry())
}
