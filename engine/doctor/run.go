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

// builtinRuntime is there in any case. What it lacks matters where it is the one that is used: see seccomp.
func builtinRuntime(m Machine) []Finding {
	f := finding("built-in runtime", "libcontainer "+m.Runtime.BuiltinVersion, "starts containers where neither crun nor runc is installed (--runtime "+Builtin+")")
	if m.Runtime.BuiltinSeccomp {
		f.Found += ", with seccomp"
	} else {
		f.Found += ", built without seccomp"
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

// network is what pods are joined by: links, and a way out that is links on the host, or a program with a tun device.
func network(m Machine) []Finding {
	n := m.Network
	list := links(m)
	if n.Outlet == Veth {
		return list
	}
	f := finding("way out", strings.TrimSpace(n.Outlet+" "+n.Version), "pods reach the host, and its ports the pods, through it")
	switch {
	case n.Error != "":
		f.Found = n.Error
		return append(list, f.but(Missing, "pods reach the host through it", m.install("passt"))...)
	case n.Path != "":
		f.Found += " (" + n.Path + ")"
	default:
		f.Why += "; pasta is faster: " + m.install("passt")
	}
	tun := finding("/dev/net/tun", "may be opened", "the way out of a pod is a tun device")
	if n.Tun != "" {
		tun.Found = n.Tun
		tun = tun.but(Missing, "pods have no way out without it", m.sudo("modprobe tun")+" && "+m.sudo("chmod 666 /dev/net/tun"))[0]
	}
	return append(list, f, tun)
}

// links are between the cells of a pod; where they are the way out too, no pod is without.
func links(m Machine) []Finding {
	n := m.Network
	f := finding("links", "veth and bridge", "lead from a pod to the host, and between its cells")
	load := func(module string) string {
		return m.write(module, "/etc/modules-load.d/pcompose.conf") + " && " + m.sudo("modprobe "+module)
	}
	const cells = "projects of several networks, or of several cells, have them in their pod"
	switch {
	case n.Veth != "" && n.Outlet == Veth:
		f.Found = n.Veth
		return f.but(Missing, "a pod reaches the host by a pair of links", load("veth"))
	case n.Veth != "":
		f.Found = n.Veth
		return f.but(Warning, cells, load("veth"))
	case n.Bridge != "":
		f.Found = n.Bridge
		return f.but(Warning, cells, load("bridge"))
	}
	return f.alone()
}

func rules(m Machine) []Finding {
	f := finding("nftables", "in the kernel", "published ports, and what leaves a pod, are translated by its rules")
	if e := m.Network.Rules; e != "" {
		f.Found = e
		modules := "nf_tables nft_chain_nat nft_masq nft_nat nft_ct nft_fib_inet"
		if m.Network.Outlet != Veth {
			return f.but(Warning, "pods of several cells do not come up", m.sudo("modprobe -a "+modules))
		}
		return f.but(Missing, "no pod gets its published ports without them", "modprobe -a "+modules)
	}
	return f.alone()
}

func forwarding(m Machine) []Finding {
	if m.Network.Outlet != Veth {
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
