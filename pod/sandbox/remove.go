package sandbox

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Remove takes everything off the host that a pod of this id has or had there: link, routes, rules. Nil means that
// nothing is there, not that this call took it away. It needs no process of the pod; one beside it is EndOutlet's.
func Remove(id string) error {
	if !MayLink() {
		return nil // nor could it have made any
	}
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	defer host.Close()
	return errors.Join(forgetForwarded(id), removeRules(id), removeLink(host, linkName(id)))
}

// removeLink takes a link away, its addresses and routes with it; nil where there is none.
func removeLink(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkDel(link)
	}
	// It may have gone with its namespace in between.
	if gone := (netlink.LinkNotFoundError{}); err == nil || errors.As(err, &gone) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("cannot remove link %q: %w", name, err)
}
