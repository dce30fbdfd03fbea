package sandbox

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	mdlayher "github.com/mdlayher/netlink"
)

// ruleset is a table on its way into the kernel.
type ruleset struct {
	conn   *nftables.Conn
	table  *nftables.Table
	chains map[string]*nftables.Chain
}

// newRuleset begins a table, in the place of the one of its name where there may be one. To replace what is not there
// would cost as much as to replace what is: the kernel waits for all processors, and new links wait for it.
func newRuleset(conn *nftables.Conn, name string, replace bool) *ruleset {
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: name}
	if replace {
		conn.AddTable(table) // deleting a table that is not there is an error, adding one that is there is none
		conn.DelTable(table)
	}
	return &ruleset{conn: conn, table: conn.AddTable(table), chains: map[string]*nftables.Chain{}}
}

// chain adds a chain that others jump to.
func (r *ruleset) chain(name string) {
	r.chains[name] = r.conn.AddChain(&nftables.Chain{Name: name, Table: r.table})
}

// base adds a chain that the kernel calls.
func (r *ruleset) base(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) {
	r.chains[name] = r.conn.AddChain(&nftables.Chain{Name: name, Table: r.table, Type: kind, Hooknum: hook, Priority: priority})
}

// add adds a rule to a chain.
func (r *ruleset) add(chain string, exprs ...[]expr.Any) {
	rule := &nftables.Rule{Table: r.table, Chain: r.chains[chain]}
	for _, e := range exprs {
		rule.Exprs = append(rule.Exprs, e...)
	}
	r.conn.AddRule(rule)
}

func (r *ruleset) commit() error { return commit(r.conn) }

// removeTable removes a table; nil where there is none.
func removeTable(conn *nftables.Conn, name string) error {
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: name}
	conn.AddTable(table)
	conn.DelTable(table)
	if err := commit(conn); err != nil {
		return fmt.Errorf("cannot remove nftables table %q: %w", name, err)
	}
	return nil
}

// ruleBuffer is room for some ten thousand rules; the kernel takes only what is used.
const ruleBuffer = 16 << 20

// openRules opens a socket in the network namespace of the calling thread.
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
	defer closeRules(conn)
	return conn.Flush()
}

// closeRules closes the socket. What is committed is in force; closing waits until the kernel has freed what any transaction
// deleted (nf_tables_rcv_nl_event, 10 ms and more of RCU), which nobody else needs to wait for.
func closeRules(conn *nftables.Conn) {
	go func() { _ = conn.CloseLasting() }() // Flush has told what the kernel says
}
