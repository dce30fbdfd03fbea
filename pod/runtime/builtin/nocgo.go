//go:build !cgo

// Package builtin is empty without cgo: libcontainer enters namespaces by a C constructor. Nor is there a keeper then.
package builtin

// Seccomp says that nothing can be filtered.
const Seccomp = false

// Version is that of no library.
func Version() string { return "" }
