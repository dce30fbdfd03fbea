package sandbox

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// pastaStart bounds the start of pasta, which takes milliseconds.
const pastaStart = 20 * time.Second

// startPasta runs pasta(1), which goes into the background when the pod's link is there and writes its pid.
func startPasta(o pod.Outlet, w wayOut) (*companion, error) {
	ctx, cancel := context.WithTimeout(context.Background(), pastaStart)
	defer cancel()
	netns, err := duplicate(w.cell.file)
	if err != nil {
		return nil, err
	}
	defer netns.Close()
	cmd := exec.CommandContext(ctx, o.Program, pastaArguments(o.Options, w)...)
	// Which namespace it is to join is the one thing that it may open by any path: as root it has given up what it takes to
	// look at other processes, and it closes all other descriptors.
	cmd.Stdin = netns
	cmd.WaitDelay = time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w%s", o.Program, err, pastaWords(string(said)))
	}
	p, err := readPID(w.mark)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Program, err)
	}
	return p, nil
}

// pastaWords are what pasta said, but for what it says of a missing syslog.
func pastaWords(said string) string {
	var words []string
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasSuffix(line, "to syslog") {
			words = append(words, line)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, "; ")
}

// pastaArguments are those of pasta: what the user's options (pasta_options in containers.conf) leave open is ours. All are
// known by every pasta from that of 2023.
func pastaArguments(user []string, w wayOut) []string {
	var given []string
	mapGateway := false
	for i := 0; i < len(user); i++ {
		switch o := user[i]; {
		case o == "--map-gw": // podman's word for the contrary of --no-map-gw
			mapGateway = true
		case slices.Contains([]string{"-I", "--ns-ifname", "-P", "--pid", "--netns", "--userns"}, o):
			i++ // these are ours
		case slices.Contains([]string{"-f", "--foreground", "--config-net", "--no-netns-quit"}, o):
		default:
			given = append(given, o)
		}
	}
	asked := func(options ...string) bool {
		return slices.ContainsFunc(given, func(g string) bool {
			name, _, _ := strings.Cut(g, "=")
			return slices.Contains(options, name)
		})
	}
	args := append([]string{"--config-net", "--no-netns-quit", "-I", podLink}, given...)
	if !asked("-a", "--address", "-g", "--gateway", "-n", "--netmask") {
		if !asked("-6", "--ipv6-only") {
			args = append(args, "-a", w.v4.String(), "-n", strconv.Itoa(w.prefix), "-g", w.gateway.String())
		}
		if w.v6.IsValid() && !asked("-4", "--ipv4-only") {
			args = append(args, "-a", w.v6.String(), "-g", gateway6().String())
		}
	}
	for _, none := range [][2]string{{"-t", "--tcp-ports"}, {"-u", "--udp-ports"}, {"-T", "--tcp-ns"}, {"-U", "--udp-ns"}} {
		if !asked(none[0], none[1]) {
			args = append(args, none[0], "none")
		}
	}
	args = append(args, "--no-dhcp", "--no-dhcpv6", "--no-ra")
	if !mapGateway && !asked("--no-map-gw") {
		// What listens on the host's loopback alone is not meant for containers.
		args = append(args, "--no-map-gw")
	}
	if !asked("--ns-mac-addr") {
		args = append(args, "--ns-mac-addr", hardwareAddress(w.id, "pod").String())
	}
	if !asked("-q", "--quiet", "-d", "--debug", "--trace") {
		args = append(args, "-q")
	}
	if !asked("--runas") {
		args = append(args, "--runas", "0") // it would become nobody, who may not join the pod
	}
	return append(args, "-P", w.mark, "--netns", "/proc/self/fd/0")
}

// mapsGateway says whether the pod sees the host's loopback at its gateway.
func mapsGateway(o pod.Outlet) bool { return slices.Contains(o.Options, "--map-gw") }
