package sandbox

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	mdlayher "github.com/mdlayher/netlink"

	"github.com/pcompose/pcompose/pod"
)

// applyRules replaces the pod's table in one transaction of the kernel: packets see the old rules or the new.
// Connections that are established keep their translation, which conntrack remembers.
//
//	chain prerouting, output  (nat)  fib daddr type local jump published
//	chain published                  localhost and link-local return; host port dnat to the pod's port
//	chain postrouting         (nat)  from the pod to elsewhere, and from the pod to itself: masquerade
//	chain forward          (filter)  to the pod, neither answer nor published: drop
func applyRules(u *veth, ports []pod.Port) error {
	conn, err := openRules()
	if err != nil {
		return err
	}
	table := replaceTable(conn, u.id)
	published := conn.AddChain(&nftables.Chain{Name: "published", Table: table})
	chains := map[string]*nftables.Chain{"published": published}
	base := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) {
		chains[name] = conn.AddChain(&nftables.Chain{Name: name, Table: table, Type: kind, Hooknum: hook, Priority: priority})
	}
	base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	add := func(chain string, exprs ...[]expr.Any) {
		rule := &nftables.Rule{Table: table, Chain: chains[chain]}
		for _, e := range exprs {
			rule.Exprs = append(rule.Exprs, e...)
		}
		conn.AddRule(rule)
	}

	for _, chain := range []string{"prerouting", "output"} {
		add(chain, toLocal(), verdict(expr.VerdictJump, published.Name))
	}
	// What is for localhost, or comes over a link-local address that cannot be routed on, goes to the held socket.
	for _, p := range []string{"127.0.0.0/8", "::1/128", "fe80::/10"} {
		add(published.Name, to(netip.MustParsePrefix(p)), verdict(expr.VerdictReturn, ""))
	}
	for _, p := range ports {
		for _, addr := range []netip.Addr{u.v4, u.v6} {
			if match := arrivesFor(p, addr); match != nil {
				add(published.Name, match, translate(addr, p.ContainerPort))
			}
		}
	}
	link := linkName(u.id)
	for _, addr := range []netip.Addr{u.v4, u.v6} {
		if addr.IsValid() {
			self := netip.PrefixFrom(addr, addr.BitLen())
			add("postrouting", from(self), out(link, expr.CmpOpNeq), []expr.Any{&expr.Masq{}})
			// The pod reaching itself through a published port: without it the answer would not come back to us.
			add("postrouting", from(self), to(self), out(link, expr.CmpOpEq), []expr.Any{&expr.Masq{}})
		}
	}
	// Pods of other projects and other machines reach published ports only.
	add("forward", out(link, expr.CmpOpEq), notTracked(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED),
		notTracked(expr.CtKeySTATUS, ctStatusDNAT), verdict(expr.VerdictDrop, ""))
	if err := commit(conn); err != nil {
		return fmt.Errorf("cannot write nftables table %q: %w", table.Name, err)
	}
	return nil
}

// removeRules removes the table; nil where there is none.
func removeRules(id string) error {
	conn, err := openRules()
	if err != nil {
		return err
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: tableName(id)}
	conn.AddTable(table) // deleting a table that is not there is an error, adding one that is there is none
	conn.DelTable(table)
	if err := commit(conn); err != nil {
		return fmt.Errorf("cannot remove nftables table %q: %w", table.Name, err)
	}
	return nil
}

// ruleBuffer is room for some ten thousand rules; the kernel takes only what is used.
const ruleBuffer = 16 << 20

func openRules() (*nftables.Conn, error) {
	// The transaction is one message, and one acknowledgement comes back for each of its parts before the first is
	// read: the usual buffers overflow at about 270 rules.
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *mdlayher.Conn) error {
		return errors.Join(c.SetReadBuffer(ruleBuffer), c.SetWriteBuffer(ruleBuffer))
	}))
	if err != nil {
		return nil, fmt.Errorf("cannot open an nftables socket: %w", err)
	}
	return conn, nil
}

// commit sends the transaction; the socket cannot be used after it.
func commit(conn *nftables.Conn) error {
	err := conn.Flush()
	// What is committed is in force. Closing the socket waits until the kernel has freed what the transaction
	// deleted (nf_tables_rcv_nl_event, 10 ms and more of RCU), which nobody else needs to wait for.
	go func() { _ = conn.CloseLasting() }() // Flush has told what the kernel says of it
	return err
}

func replaceTable(conn *nftables.Conn, id string) *nftables.Table {
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: tableName(id)}
	conn.AddTable(table)
	conn.DelTable(table)
	return conn.AddTable(table)
}
