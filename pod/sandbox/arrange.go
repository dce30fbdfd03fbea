package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"

	"github.com/pcompose/pcompose/pod"
)

// Arrange makes the cells, networks and members of a running pod exactly these: what is there already stays as it is,
// with its traffic. The first cell must be the one the pod has. Published ports follow their containers.
//
// Idempotent. On an error, and after a crash, what was asked is done in part; to do it again, or to ask for what was
// there before, converges. A Config for Adopt has what was asked last. The namespace of a cell that is no more goes
// with the last process in it.
func (s *Sandbox) Arrange(ctx context.Context, cells []pod.Cell, networks []pod.Network, members []pod.Member) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := errors.New("its sandbox is closed")
	if !s.closed {
		c := s.config
		c.Cells, c.Networks, c.Members = cells, networks, members
		err = s.arrange(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("cannot arrange cells of pod %q: %w", s.config.Name, err)
	}
	return nil
}

// Meet tells the hubs of shared networks, as Config has them, for the next Arrange.
func Meet(s *Sandbox, hubs map[string]*os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.Hubs = hubs
}

func (s *Sandbox) arrange(ctx context.Context, c Config) error {
	c, err := c.complete()
	if err != nil {
		return err
	}
	want, err := newLayout(c)
	if err != nil {
		return err
	}
	if first := s.cells[0].name; c.Cells[0].Name != first || c.Cells[0].Mode != "" {
		return fmt.Errorf("the first cell is %q, and stays so", first)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	gone, err := s.settleCells(c.Cells)
	if err != nil {
		return err
	}
	before := s.routes()
	s.config, s.layout = c, want
	if err := s.assignInner(); err != nil {
		return err
	}
	// The rules come before what they keep apart, and go after it.
	if want.filtered() {
		if err := enableRouting(s.cells[0]); err != nil {
			return err
		}
	}
	// The host's rules are the same for most of what changes in the pod.
	if now := s.routes(); !reflect.DeepEqual(before, now) {
		err = s.steer(before)
	} else if want.filtered() && !s.rules.are(want, now.spreads) {
		err = s.filter(now.spreads)
	}
	if err != nil {
		return err
	}
	if err := s.connectCells(want); err != nil {
		return err
	}
	if !want.filtered() {
		if err := s.removeFilter(); err != nil {
			return err
		}
	}
	err = errors.Join(keepSources(s), lead(s))
	for _, ns := range gone {
		for _, l := range s.listeners {
			l.proxy.leave(ns)
		}
		err = errors.Join(err, ns.file.Close())
	}
	s.forgetContainers()
	return err
}

// forgetContainers drops what was said of containers that are no more.
func (s *inside) forgetContainers() {
	for name := range s.out {
		if !slices.ContainsFunc(s.config.Members, func(m pod.Member) bool { return m.Container == name }) {
			delete(s.out, name)
		}
	}
}

// enableRouting lets the first cell pass packets between its links.
func enableRouting(router *namespace) error {
	return router.do(func() error {
		if err := enableForwarding(hasIPv6()); err != nil {
			return err
		}
		// br_netfilter, where the host has it, would take what a bridge passes on for what is routed (kernel,
		// Documentation/networking/ip-sysctl.rst); a namespace has its own since Linux 5.3.
		for _, family := range []string{"ip", "ip6"} {
			if name := "net/bridge/bridge-nf-call-" + family + "tables"; sysctlIs(name, "1") {
				if err := writeSysctl(name, "0"); err != nil {
					return fmt.Errorf("cannot keep bridges apart from filters: %w", err)
				}
			}
		}
		return nil
	})
}
