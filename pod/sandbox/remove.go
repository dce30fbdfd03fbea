package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Remove takes everything off the host that a pod of this id has or had there: link, routes, rules. Nil means that
// nothing is there, not that this call took it away. It needs no process of the pod.
func Remove(id string) error {
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	defer host.Close()
	return errors.Join(removeRules(id), removeLink(host, linkName(id)))
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

// Leftovers are the ids, sorted, of all pods that have a link or rules on the host, whether they run or not: the
// caller knows which of them do.
func Leftovers() ([]string, error) {
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	defer host.Close()
	names, err := tableNames()
	if err != nil {
		return nil, err
	}
	links, err := host.LinkList()
	if err != nil {
		return nil, fmt.Errorf("cannot list links: %w", err)
	}
	for _, l := range links {
		names = append(names, l.Attrs().Alias)
	}
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutPrefix(name, namePrefix); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
