package supervisor

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestSignalNumber: a signal is read as users and images write it.
func TestSignalNumber(t *testing.T) {
	for name, want := range map[string]unix.Signal{
		"SIGTERM": unix.SIGTERM, "quit": unix.SIGQUIT, "15": unix.SIGTERM, "37": 37,
		"SIGRTMIN": 34, "SIGRTMIN+3": 37, "RTMAX-1": 63, "sigrtmax": 64,
		"SIGFOO": 0, "0": 0, "65": 0, "SIGRTMIN+31": 0, "SIGRTMAX+1": 0, "SIGRTMIN-1": 0, "SIGRTMIN+x": 0,
	} {
		got, err := signalNumber(name)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("signalNumber(%q) is %d, %v; want %d", name, got, err, want)
		}
	}
}
