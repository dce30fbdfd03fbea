package sandbox

import (
	"fmt"
	"net/netip"
	"reflect"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// filterTable is the one table in the router's namespace.
const filterTable = "pcompose"

// filter replaces the router's table in one transaction. What is bridged, from cell to cell on one network, never
// comes here.
//
//	chain prerouting  (nat)     from the way out to the pod-side port of a published port: dnat, backends in turn
//	chain leaving     (filter)  late answers of a backend that is not ready: from the pod-side port
//	chain postrouting (nat)     to the way out, not from the pod's address: masquerade
//	chain forward     (filter)  internal networks and the way out: drop. Answers, networks to the way out, published: accept
//	chain input       (filter)  to the first cell's containers: from the way out and their own networks
//	chain output      (filter)  likewise, the other way
func (s *inside) filter(spreads []spread) error {
	s.rules = nil
	conn, err := s.cells[0].openRules()
	if err != nil {
		return err
	}
	v4, v6, _ := s.outlet.address()
	r := newRuleset(conn, filterTable, !s.bare)
	s.bare = false
	r.base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	r.base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	// What it rewrites is not translated again.
	before := nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource - 1)
	r.base("leaving", nftables.ChainTypeFilter, nftables.ChainHookPostrouting, before)
	for _, p := range spreads {
		for _, addr := range []netip.Addr{v4, v6} {
			r.spread(p, addr)
			r.leave(p, addr)
		}
	}
	for _, addr := range []netip.Addr{v4, v6} {
		if addr.IsValid() {
			r.add("postrouting", out(podLink, expr.CmpOpEq), notFrom(addr), []expr.Any{&expr.Masq{}})
		}
	}
	r.forward(s.layout)
	r.input(s.layout)
	r.output(s.layout)
	if err := r.commit(); err != nil {
		return fmt.Errorf("cannot write nftables table %q of the pod: %w", filterTable, err)
	}
	s.rules = &rulesInForce{s.layout, spreads}
	return nil
}

// rulesInForce are what the router's table was made from.
type rulesInForce struct {
	layout  layout
	spreads []spread
}

// are says whether the table is what it would be made to be. Which cells are on a network is not in it.
func (r *rulesInForce) are(l layout, spreads []spread) bool {
	return r != nil && r.layout.shut == l.shut && reflect.DeepEqual(r.layout.bridges, l.bridges) && reflect.DeepEqual(r.spreads, spreads)
}

func (n *namespace) openRules() (conn *nftables.Conn, err error) {
	err = n.do(func() (err error) {
		conn, err = openRules()
		return err
	})
	return conn, err
}

// spread sends what arrives at the pod-side port to the targets of one family in turn.
func (r *ruleset) spread(p spread, addr netip.Addr) {
	var targets []netip.AddrPort
	for _, t := range p.targets {
		if at := t.at(addr.Is4()); addr.IsValid() && at.Addr().IsValid() && !t.internal {
			targets = append(targets, at)
		}
	}
	for i, at := range targets {
		// One in n goes to the first, of the rest one in n-1 to the second, and so on.
		var turn []expr.Any
		if n := len(targets) - i; n > 1 {
			turn = []expr.Any{
				&expr.Numgen{Register: 1, Modulus: uint32(n), Type: unix.NFT_NG_INCREMENTAL},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: make([]byte, 4)},
			}
		}
		r.add("prerouting", in(podLink), to(netip.PrefixFrom(addr, addr.BitLen())), port(p.protocol, p.inner), turn, translate(at.Addr(), at.Port()))
	}
}

// leave sees to datagrams of backends that get nothing new. Their flows are forgotten, so that the client's next
// datagram goes to another backend; what they still answer begins a flow of its own, which conntrack translates to
// where the client does not wait for it. So its header is rewritten, and conntrack knows nothing of that.
func (r *ruleset) leave(p spread, addr netip.Addr) {
	for _, t := range p.leaving {
		if at := t.at(addr.Is4()); p.protocol == pod.UDP && addr.IsValid() && at.Addr().IsValid() {
			r.add("leaving", out(podLink, expr.CmpOpEq), from(netip.PrefixFrom(at.Addr(), addr.BitLen())), sourcePort(at.Port()),
				original(), rewriteSource(addr, p.inner))
		}
	}
}

func (r *ruleset) forward(l layout) {
	r.base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	// What is established is no exception: a network may become internal while it is in use.
	for _, b := range l.bridges {
		if b.internal {
			r.add("forward", in(b.name), out(podLink, expr.CmpOpEq), verdict(expr.VerdictDrop, ""))
			r.add("forward", in(podLink), out(b.name, expr.CmpOpEq), verdict(expr.VerdictDrop, ""))
		}
	}
	r.add("forward", tracked(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept, ""))
	r.add("forward", in(podLink), tracked(expr.CtKeySTATUS, ctStatusDNAT), verdict(expr.VerdictAccept, ""))
	for _, b := range l.bridges {
		// A namespace before Linux 5.3 cannot say that br_netfilter should leave bridged packets alone.
		r.add("forward", in(b.name), out(b.name, expr.CmpOpEq), verdict(expr.VerdictAccept, ""))
		if !b.internal {
			r.add("forward", in(b.name), out(podLink, expr.CmpOpEq), verdict(expr.VerdictAccept, ""))
		}
	}
	r.add("forward", verdict(expr.VerdictDrop, ""))
}

func (r *ruleset) input(l layout) {
	r.base("input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter)
	accept, drop := verdict(expr.VerdictAccept, ""), verdict(expr.VerdictDrop, "")
	r.add("input", in("lo"), accept)
	if l.shut {
		r.add("input", in(podLink), drop)
	}
	r.add("input", tracked(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept)
	r.add("input", in(podLink), accept)
	// An address of the router is reached from its own network only.
	r.add("input", toLocal(), notLocalHere(), drop)
	for _, b := range l.bridges {
		if b.member {
			r.add("input", in(b.name), accept)
		}
	}
	// The gateway answers to ping and to neighbour discovery, and to nothing else.
	for _, p := range []byte{unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
		r.add("input", protocol(p), accept)
	}
	r.add("input", drop)
}

func (r *ruleset) output(l layout) {
	r.base("output", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityFilter)
	accept, drop := verdict(expr.VerdictAccept, ""), verdict(expr.VerdictDrop, "")
	r.add("output", out("lo", expr.CmpOpEq), accept)
	if l.shut {
		r.add("output", out(podLink, expr.CmpOpEq), drop)
	}
	r.add("output", tracked(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept)
	r.add("output", out(podLink, expr.CmpOpEq), accept)
	for _, b := range l.bridges {
		if b.member {
			r.add("output", out(b.name, expr.CmpOpEq), accept)
		}
	}
	r.add("output", neighbourDiscovery(), accept)
	r.add("output", drop)
}

// removeFilter removes the router's table; nil where there is none.
func (s *inside) removeFilter() error {
	s.rules = nil
	conn, err := s.cells[0].openRules()
	if err != nil {
		return err
	}
	err = removeTable(conn, filterTable)
	s.bare = err == nil
	return err
}
