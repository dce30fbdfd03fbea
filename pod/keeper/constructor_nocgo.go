//go:build !cgo

package keeper

// Without cgo there is no constructor: Start says so instead of running main under a wrong name.
const linked = false
