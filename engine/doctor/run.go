package doctor

import (
	"fmt"
	"strings"
)

// runcFloors are the first releases of runc without CVE-2025-31133, -52565, -52881 and CVE-2026-41579, a release line each.
func runcFloors() []string { return []string{"1.3.6", "1.4.3", "1.5.0"} }

// weakRunc says whether a version of runc, or libcontainer, is older than the floor of its line. A candidate is older than
// what it is a candidate of.
func weakRunc(version string) bool {
	floors := runcFloors()
	have := numbers(version)
	for _, floor := range floors {
		want := numbers(floor)
		if len(have) == 3 && have[0] == want[0] && have[1] == want[1] {
			return have[2] < want[2] || have[2] == want[2] && strings.HasPrefix(strings.TrimPrefix(version, floor), "-rc")
		}
	}
	return older(version, floors[len(floors)-1])
}

func ociRuntime(m Machine) []Finding {
	r := m.Runtime
	f := finding("OCI runtime", strings.TrimSpace(r.Kind+" "+r.Version), "starts containers")
	if r.Path != "" {
		f.Found += " (" + r.Path + ")"
	}
	weak := fmt.Sprintf("older than %s: a container may get out of its root by CVE-2025-31133, CVE-2025-52565, CVE-2025-52881 or CVE-2026-41579, "+
		"where the distribution has not mended them in it", strings.Join(runcFloors(), ", "))
	switch {
	case r.Error != "":
		f.Found = r.Error
		return f.but(Missing, "it starts containers", m.install("crun"))
	case r.Kind == "runc" && weakRunc(r.Version):
		return f.but(Warning, weak, m.install("crun")+"  # or a newer runc")
	case r.Kind == Builtin:
		f.Why = "starts containers; crun starts them sooner"
	}
	return f.alone()
}

func initProgram(m Machine) []Finding {
	f := finding("init", m.Init, "runs in containers of services with init: true")
	if m.Init == "" {
		f.Found = "not installed"
		return f.but(Warning, "services with init: true do not start", m.install("catatonit"))
	}
	return f.alone()
}

// criu is not needed by anything there is.
func criu(m Machine) []Finding {
	f := finding("criu", m.CRIU, "freezes containers to disk; no command needs it yet")
	if m.CRIU == "" {
		f.Found = "not installed"
	}
	return f.alone()
}

// network is the way out of a pod: links for root, a program with a tun device for users.
func network(m Machine) []Finding {
	n := m.Network
	if m.User.root() {
		f := finding("links", "veth and bridge", "lead from a pod to the host, and between its cells")
		switch {
		case n.Veth != "":
			f.Found = "veth: " + n.Veth
			return f.but(Missing, "a pod reaches the host by a pair of links", m.write("veth", "/etc/modules-load.d/pcompose.conf")+" && "+m.sudo("modprobe veth"))
		case n.Bridge != "":
			f.Found = "veth; bridge: " + n.Bridge
			return f.but(Warning, "projects of several networks, or of several cells, have bridges in their pod", m.write("bridge", "/etc/modules-load.d/pcompose.conf")+" && "+m.sudo("modprobe bridge"))
		}
		return f.alone()
	}
	f := finding("way out", "pasta "+n.PastaVersion+" ("+n.Pasta+")", "a user's pod reaches the host, and its ports the pod, through it")
	if n.Pasta == "" {
		f.Found = "built-in network"
		f.Why += "; pasta is faster: " + m.install("passt")
	}
	list := f.alone()
	tun := finding("/dev/net/tun", "may be opened", "the way out of a user's pod is a tun device")
	if n.Tun != "" {
		tun.Found = n.Tun
		tun = tun.but(Missing, "a user's pod has no way out without it", m.sudo("modprobe tun")+" && "+m.sudo("chmod 666 /dev/net/tun"))[0]
	}
	return append(list, tun)
}

func rules(m Machine) []Finding {
	f := finding("nftables", "in the kernel", "published ports, and what leaves a pod, are translated by its rules")
	if e := m.Network.Rules; e != "" {
		f.Found = e
		modules := "nf_tables nft_chain_nat nft_masq nft_nat nft_ct nft_fib_inet"
		if !m.User.root() {
			return f.but(Warning, "pods of several cells do not come up", m.sudo("modprobe -a "+modules))
		}
		return f.but(Missing, "no pod gets its published ports without them", "modprobe -a "+modules)
	}
	return f.alone()
}

func forwarding(m Machine) []Finding {
	if !m.User.root() {
		return nil
	}
	f := finding("forwarding", "on", "the host passes packets on to pods")
	switch {
	case m.Forwarding:
	case m.SysReadOnly:
		f.Found = "off, and /proc/sys is read-only"
		return f.but(Missing, "the host passes no packets on to pods, and pcompose cannot switch it on", "# on the host of this container: "+m.sysctl("net.ipv4.ip_forward", "1"))
	default:
		f.Found = "off; the first up switches it on"
	}
	return f.alone()
}
