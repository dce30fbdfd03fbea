package sandbox

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// applyRules replaces the pod's table in one transaction of the kernel: packets see the old rules or the new.
// Connections that are established keep their translation, which conntrack remembers.
//
//	chain prerouting, output  (nat)  fib daddr type local jump published
//	chain published                  localhost and link-local return; host port dnat to the pod's port
//	chain postrouting         (nat)  from the pod to elsewhere, and from the pod to itself: masquerade
//	chain forward          (filter)  to the pod, neither answer nor published: drop
func applyRules(u *veth, ways []way) error {
	conn, err := openRules()
	if err != nil {
		return err
	}
	r := newRuleset(conn, tableName(u.id), true)
	r.chain("published")
	r.base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	r.base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	r.base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	r.base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	for _, chain := range []string{"prerouting", "output"} {
		r.add(chain, toLocal(), verdict(expr.VerdictJump, "published"))
	}
	// What is for localhost, or comes over a link-local address that cannot be routed on, goes to the held socket.
	for _, p := range []string{"127.0.0.0/8", "::1/128", "fe80::/10"} {
		r.add("published", to(netip.MustParsePrefix(p)), verdict(expr.VerdictReturn, ""))
	}
	for _, w := range ways {
		for _, addr := range []netip.Addr{u.v4, u.v6} {
			if match := arrivesFor(w, addr); match != nil {
				r.add("published", match, translate(addr, w.to))
			}
		}
	}
	link := linkName(u.id)
	for _, addr := range []netip.Addr{u.v4, u.v6} {
		if addr.IsValid() {
			self := netip.PrefixFrom(addr, addr.BitLen())
			r.add("postrouting", from(self), out(link, expr.CmpOpNeq), []expr.Any{&expr.Masq{}})
			// The pod reaching itself through a published port: without it the answer would not come back to us.
			r.add("postrouting", from(self), to(self), out(link, expr.CmpOpEq), []expr.Any{&expr.Masq{}})
		}
	}
	// Pods of other projects and other machines reach published ports only.
	r.add("forward", out(link, expr.CmpOpEq), notTracked(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED),
		notTracked(expr.CtKeySTATUS, ctStatusDNAT), verdict(expr.VerdictDrop, ""))
	if err := r.commit(); err != nil {
		return fmt.Errorf("cannot write nftables table %q: %w", tableName(u.id), err)
	}
	return nil
}

// removeRules removes the table; nil where there is none.
func removeRules(id string) error {
	conn, err := openRules()
	if err != nil {
		return err
	}
	return removeTable(conn, tableName(id))
}
