package sandbox

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// lookout keeps the pod's link accepted in the chains of others: those may come after the pod (`ufw enable`), or be written
// anew. The kernel tells of each change; what is no change of such chains costs a look at the message's header.
type lookout struct {
	id   string
	warn func(format string, args ...any)
	// mu is of one look at a time, so that none adds what another does.
	mu     sync.Mutex
	socket *os.File
	over   chan struct{}
}

// newLookout begins, in the namespace of the caller's thread. A kernel that does not tell leaves it to look.
func newLookout(c Config) *lookout {
	l := &lookout{id: c.ID, warn: c.warn, over: make(chan struct{})}
	var err error
	if l.socket, err = subscribeRules(); err != nil {
		l.warn("cannot follow the rules of the host: %v", err)
		close(l.over)
		return l
	}
	go l.follow()
	return l
}

// subscribeRules is a socket that tells of changed rules.
func subscribeRules() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)}); err != nil {
		return nil, errors.Join(os.NewSyscallError("bind", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "rules"), nil
}

// look adds what is missing.
func (l *lookout) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := acceptForwarded(l.id); err != nil {
		l.warn("%v", err) // on most hosts all goes without
	}
}

// end returns once nothing is added any more. Idempotent.
func (l *lookout) end() {
	if l.socket != nil {
		_ = l.socket.Close() // it is closed then, whatever it says
	}
	<-l.over
}

func (l *lookout) follow() {
	defer close(l.over)
	// The kernel puts the messages of a transaction together, of at most a page each.
	buffer := make([]byte, os.Getpagesize())
	for {
		n, err := l.socket.Read(buffer)
		switch {
		case errors.Is(err, unix.ENOBUFS): // some were lost (netlink(7))
			l.look()
		case err != nil:
			return
		case n == len(buffer) || takesAway(buffer[:n]):
			l.look()
		}
	}
}

// takesAway says whether messages tell of what may leave a chain of iptables without the pod's rules: a chain that is new, or rules
// that are gone.
func takesAway(messages []byte) bool {
	for len(messages) > unix.NLMSG_HDRLEN {
		length := int(binary.NativeEndian.Uint32(messages))
		kind := binary.NativeEndian.Uint16(messages[4:])
		family := messages[unix.NLMSG_HDRLEN]
		if kind>>8 == unix.NFNL_SUBSYS_NFTABLES && (family == unix.NFPROTO_IPV4 || family == unix.NFPROTO_IPV6) {
			switch kind & 0xff {
			case unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_DELRULE:
				return true
			}
		}
		if length = (length + syscall.NLMSG_ALIGNTO - 1) &^ (syscall.NLMSG_ALIGNTO - 1); length < unix.NLMSG_HDRLEN || length > len(messages) {
			return false
		}
		messages = messages[length:]
	}
	return false
}
