//go:build cgo

package keeper

// keeper.c is compiled by cgo and linked as a constructor of every binary that imports this package.

// #cgo CFLAGS: -Wall -Wextra -O2
import "C"

const linked = true
