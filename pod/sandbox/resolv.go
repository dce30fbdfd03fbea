package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// HostResolvConf reads the resolv.conf under root ("/") that ResolvConf wants: behind the stub of systemd-resolved,
// which the pod cannot reach, the file of the servers it asks. Nil where there is none.
func HostResolvConf(root string) ([]byte, error) {
	host, err := os.ReadFile(filepath.Join(root, "etc/resolv.conf"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read resolv.conf of the host: %w", err)
	}
	for _, server := range parseResolv(host).servers {
		// systemd-resolved.service(8): 127.0.0.53 and 127.0.0.54 are its stubs.
		if server == "127.0.0.53" || server == "127.0.0.54" {
			if real, err := os.ReadFile(filepath.Join(root, "run/systemd/resolve/resolv.conf")); err == nil {
				return real, nil
			}
		}
	}
	return host, nil
}

// ResolvConf is the content of a container's resolv.conf: the host's, with what dns says in place of each part.
// Servers on the host's loopback, or on one of its links (fe80::1%eth0), cannot be reached from the pod and are
// left out; when none remains the file says so, and no server is made up. Search ["."] means no search list. A cell with
// a resolver, at a valid address, has that one in place of the servers that it asks: the host's, or asks. It is asked for names
// as they are first, where no option says otherwise.
func ResolvConf(host []byte, dns pod.DNS, resolver netip.Addr, asks []string) []byte {
	r := parseResolv(host)
	var servers []string
	for _, s := range r.servers {
		if ip, err := netip.ParseAddr(s); err == nil && !ip.IsLoopback() && !ip.IsUnspecified() && ip.Zone() == "" {
			servers = append(servers, s)
		}
	}
	if resolver.IsValid() {
		servers = []string{resolver.String()}
	}
	if len(dns.Servers) > 0 && !(resolver.IsValid() && slices.Equal(dns.Servers, asks)) {
		servers = dns.Servers
	}
	if len(dns.Search) > 0 {
		r.search = dns.Search
	}
	if len(dns.Options) > 0 {
		r.options = dns.Options
	}
	if resolver.IsValid() && slices.Equal(servers, []string{resolver.String()}) && !slices.ContainsFunc(r.options, isDots) {
		// As docker has it: what the pod calls itself is asked before any search domain, where a wildcard would answer.
		r.options = append(slices.Clone(r.options), "ndots:0")
	}
	var b strings.Builder
	if len(r.search) > 0 && !(len(r.search) == 1 && r.search[0] == ".") {
		b.WriteString("search " + strings.Join(r.search, " ") + "\n")
	}
	for _, s := range servers {
		b.WriteString("nameserver " + s + "\n")
	}
	if len(servers) == 0 {
		b.WriteString("# The host names no server that can be reached from the pod; set dns: in the Compose file.\n")
	}
	if len(r.options) > 0 {
		b.WriteString("options " + strings.Join(r.options, " ") + "\n")
	}
	return []byte(b.String())
}

func isDots(option string) bool { return strings.HasPrefix(option, "ndots:") }

type resolv struct{ servers, search, options []string }

// parseResolv reads resolv.conf(5): the last search or domain line counts, options add up.
func parseResolv(content []byte) resolv {
	var r resolv
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], ";") {
			continue
		}
		switch fields[0] {
		case "nameserver":
			r.servers = append(r.servers, fields[1])
		case "search", "domain":
			r.search = fields[1:]
		case "options":
			r.options = append(r.options, fields[1:]...)
		}
	}
	return r
}
