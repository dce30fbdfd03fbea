package sandbox

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/pcompose/pcompose/pod"
)

// Trial is what the kernel says to what pods are made of; nil is that it can.
type Trial struct{ Veth, Bridge, Rules error }

// Try makes in the network namespace of the calling thread what a pod has there, under its own names. What it makes is to
// go with the namespace: call it in one that was made for it.
func Try() Trial {
	const id = "trial"
	attrs := netlink.NewLinkAttrs()
	attrs.Name = linkName(id)
	bridge := netlink.NewLinkAttrs()
	bridge.Name = bridgeName(id)
	u := &veth{id: id, v4: netip.MustParseAddr("192.0.2.1"), v6: netip.MustParseAddr("2001:db8::1")}
	ways := []way{
		{from: pod.Port{HostPort: 80, Protocol: pod.TCP}, to: 80, v4: true, v6: true},
		{from: pod.Port{HostPort: 53, Protocol: pod.UDP}, to: 53, v4: true, v6: true},
	}
	return Trial{
		Veth:   saying("veth", netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: podLink})),
		Bridge: saying("bridge", netlink.LinkAdd(&netlink.Bridge{LinkAttrs: bridge})),
		Rules:  applyRules(u, ways),
	}
}

func saying(kind string, err error) error {
	if err != nil {
		return fmt.Errorf("cannot make a %s: %w", kind, err)
	}
	return nil
}
