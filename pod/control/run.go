package control

import "github.com/pcompose/pcompose/pod/lifecycle"

// Run is a container's run as its supervisor last knew it.
type Run struct {
	lifecycle.State
	// Start is the start time of process State.Run.PID (field 22 of /proc/PID/stat): together they name one
	// process of one boot.
	Start uint64
}
