package engine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/moby/sys/capability"
)

// capset is what this process has of capabilities (capabilities(7)).
type capset struct {
	bounding []string
	bits     uint64
}

func (c capset) effective(number int) bool { return c.bits&(1<<number) != 0 }

// capabilities reads CapEff and CapBnd of /proc/self/status.
func capabilities() (capset, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return capset{}, fmt.Errorf("cannot read this process's capabilities: %w", err)
	}
	var c capset
	var bounding uint64
	for _, line := range strings.Split(string(b), "\n") {
		name, value, _ := strings.Cut(line, ":")
		bits, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		switch {
		case err != nil:
		case name == "CapEff":
			c.bits = bits
		case name == "CapBnd":
			bounding = bits
		}
	}
	for _, known := range capability.ListKnown() {
		if bounding&(1<<known) != 0 {
			c.bounding = append(c.bounding, "CAP_"+strings.ToUpper(known.String()))
		}
	}
	return c, nil
}
