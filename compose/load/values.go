package load

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
	"golang.org/x/sys/unix"
)

// valueRules are texts that compose-go takes as they are and that would fail, or quietly do something else, only in the container.
func valueRules() []formatRule {
	return []formatRule{
		{[]string{"stop_signal"}, badSignal},
		{[]string{"working_dir"}, badDir},
		{[]string{"hostname"}, badHostname},
		{[]string{"domainname"}, badHostname},
		{[]string{"platform"}, badPlatform},
		{[]string{"dns"}, badAddress},
		{[]string{"tmpfs"}, badTmpfs},
	}
}

// addresses checks the mapping form of extra_hosts, whose values are an address or a list of them.
func (c checker) addresses(service *yaml.Node, keys []string) {
	hosts := child(service, "extra_hosts")
	if hosts == nil || hosts.Kind != yaml.MappingNode {
		return
	}
	for _, e := range entries(hosts) {
		at := step(step(keys, "extra_hosts"), e.key.Value)
		for _, n := range list(e.value) {
			if n = deref(n); n.Kind == yaml.ScalarNode {
				c.format(n, at, badHostAddress)
			}
		}
	}
}

// badSignal reads names as kill(1) does, and numbers. A real-time signal counts from either end: SIGRTMIN+3 halts systemd.
func badSignal(s string) string {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n < 65 || s == "" {
		return ""
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if realtime(name) || unix.SignalNum(name) != 0 {
		return ""
	}
	return fmt.Sprintf("no signal is called %q: write a name such as SIGTERM, or a number of 1 to 64", s)
}

// realtime is SIGRTMIN, SIGRTMIN+1 to +30 and SIGRTMAX, SIGRTMAX-1 to -30, see signal(7).
func realtime(name string) bool {
	for _, end := range []string{"SIGRTMIN+", "SIGRTMAX-"} {
		if offset, ok := strings.CutPrefix(name, end); ok {
			n, err := strconv.ParseUint(offset, 10, 8)
			return err == nil && n <= 30
		}
	}
	return name == "SIGRTMIN" || name == "SIGRTMAX"
}

// badDir wants an absolute path: there is nothing in a container that it could be relative to.
func badDir(s string) string {
	if s != "" && !strings.HasPrefix(s, "/") {
		return fmt.Sprintf("%q must be an absolute path in the container", s)
	}
	return ""
}

// badHostname refuses what sethostname(2) does (HOST_NAME_MAX is 64) and what would make more than one word in /etc/hosts.
func badHostname(s string) string {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '#' || r == '/' || r == 0x7f }) {
		return fmt.Sprintf("%q is no host name: up to 64 letters, digits, hyphens and dots", s)
	}
	return ""
}

func badPlatform(s string) string {
	parts := strings.Split(s, "/")
	for _, p := range parts {
		if p == "" && s != "" || len(parts) > 3 || len(parts) == 1 && s != "" {
			return fmt.Sprintf("%q is no platform: write os/architecture or os/architecture/variant, as in linux/amd64", s)
		}
	}
	return ""
}

func badAddress(s string) string {
	if _, err := netip.ParseAddr(s); err != nil && s != "" {
		return fmt.Sprintf("%q is no IP address", s)
	}
	return ""
}

// badHostAddress reads an address of extra_hosts: IPv6 may stand in brackets, host-gateway is the machine.
func badHostAddress(s string) string {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err != nil && s != "host-gateway" {
		return fmt.Sprintf("%q is no address of a host: write an IP address or host-gateway", s)
	}
	return ""
}

// badTmpfs reads an item of tmpfs:, TARGET or TARGET:OPTIONS.
func badTmpfs(s string) string {
	if s != "" && !strings.HasPrefix(s, "/") {
		return fmt.Sprintf("the target %q in the container must be an absolute path", s)
	}
	_, options, _ := strings.Cut(s, ":")
	for _, o := range strings.FieldsFunc(options, func(r rune) bool { return r == ',' }) {
		if !tmpfsOption(o) {
			return fmt.Sprintf("unknown tmpfs option %q", o)
		}
	}
	return ""
}
