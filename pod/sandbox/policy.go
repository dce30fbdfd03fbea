package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// What the host sends on passes the chains of every table, and none overrules another's drop. Docker and ufw have their
// FORWARD of iptables drop by its policy what none of its rules accepts: a pod had no way out beside them. So its link is accepted
// there, behind all rules: what those refuse stays refused, and what our own table drops stays dropped.

// acceptForwarded adds the pod's link to the chains of others that there are. Idempotent.
func acceptForwarded(id string) error {
	conn, err := openRules()
	if err != nil {
		return err
	}
	defer closeRules(conn)
	chains, err := forwardChains(conn, id)
	if err != nil {
		return fmt.Errorf("cannot read chain FORWARD of the host's iptables: where its policy is drop, the pod has no way out: %w", err)
	}
	for _, c := range chains {
		if len(c.ours) > 0 {
			continue
		}
		for _, key := range []expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME} {
			// As iptables writes and reads it: -A FORWARD -i LINK -j ACCEPT.
			c.conn.AddRule(&nftables.Rule{Table: c.chain.Table, Chain: c.chain, Exprs: []expr.Any{
				&expr.Meta{Key: key, Register: 1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: linkData(id)},
				&expr.Counter{},
				&expr.Verdict{Kind: expr.VerdictAccept},
			}})
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// forgetForwarded takes it out again; nil where it is in none.
func forgetForwarded(id string) error {
	conn, err := openRules()
	if err != nil {
		return err
	}
	defer closeRules(conn)
	chains, err := forwardChains(conn, id)
	if err != nil {
		return nil // nor could it be read to write there
	}
	var errs []error
	for _, c := range chains {
		for _, r := range c.ours {
			errs = append(errs, c.conn.DelRule(r))
		}
		errs = append(errs, c.flush())
	}
	return errors.Join(errs...)
}

// linkData is the name of a pod's link as iptables compares it, with the zero at its end.
func linkData(id string) []byte { return append([]byte(linkName(id)), 0) }

// forwardChain is FORWARD of iptables or ip6tables, with the rules there that name the pod's link.
type forwardChain struct {
	conn  *nftables.Conn
	chain *nftables.Chain
	ours  []*nftables.Rule
}

func forwardChains(conn *nftables.Conn, id string) ([]forwardChain, error) {
	var all []forwardChain
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6} {
		chains, err := conn.ListChainsOfTableFamily(family)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(chains, func(c *nftables.Chain) bool { return c.Table.Name == "filter" && c.Name == "FORWARD" })
		if i < 0 {
			continue
		}
		rules, err := conn.GetRules(chains[i].Table, chains[i])
		if err != nil {
			return nil, err
		}
		others := func(r *nftables.Rule) bool { return !names(r, linkData(id)) }
		all = append(all, forwardChain{conn, chains[i], slices.DeleteFunc(rules, others)})
	}
	return all, nil
}

// flush carries out what is prepared. Whoever has the chain may take it away meanwhile.
func (c forwardChain) flush() error {
	if err := c.conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cannot change chain FORWARD of the host's iptables: %w", err)
	}
	return nil
}

// names says whether a rule compares something with a link's name.
func names(r *nftables.Rule, link []byte) bool {
	return slices.ContainsFunc(r.Exprs, func(e expr.Any) bool {
		c, ok := e.(*expr.Cmp)
		return ok && bytes.Equal(c.Data, link)
	})
}
