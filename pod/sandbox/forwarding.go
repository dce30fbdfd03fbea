package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// hasIPv6 says whether the host speaks IPv6 and new links will.
func hasIPv6() bool {
	return sysctlIs("net/ipv6/conf/all/disable_ipv6", "0") && sysctlIs("net/ipv6/conf/default/disable_ipv6", "0")
}

// enableForwarding lets the host route, where it does not yet. It is left on: others may have come to rely on it.
func enableForwarding(v6 bool) error {
	if err := switchOn("net/ipv4/ip_forward"); err != nil {
		return err
	}
	if !v6 || sysctlIs("net/ipv6/conf/all/forwarding", "1") {
		return nil
	}
	if err := keepRouterAdvertisements(); err != nil {
		return err
	}
	return switchOn("net/ipv6/conf/all/forwarding")
}

// keepRouterAdvertisements raises accept_ra from 1, which means "unless forwarding", to 2: a host that learnt its
// default route by them would lose it (kernel, Documentation/networking/ip-sysctl.rst).
func keepRouterAdvertisements() error {
	paths, err := filepath.Glob("/proc/sys/net/ipv6/conf/*/accept_ra")
	if err != nil {
		return err
	}
	for _, path := range paths {
		name := strings.TrimPrefix(path, "/proc/sys/")
		if link := filepath.Base(filepath.Dir(path)); link == "all" || link == "default" || !sysctlIs(name, "1") {
			continue
		}
		// A link may go away meanwhile.
		if err := writeSysctl(name, "2"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot keep accepting router advertisements: %w", err)
		}
	}
	return nil
}

func switchOn(name string) error {
	if sysctlIs(name, "1") {
		return nil
	}
	if err := writeSysctl(name, "1"); err != nil {
		return fmt.Errorf("cannot enable forwarding: %w", err)
	}
	return nil
}

// sysctlIs is false for a sysctl that cannot be read.
func sysctlIs(name, value string) bool {
	b, err := os.ReadFile("/proc/sys/" + name)
	return err == nil && strings.TrimSpace(string(b)) == value
}
