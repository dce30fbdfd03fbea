// Package userns is the user and mount namespace that all pods of an ordinary user share.
//
// A command of a user who is not root goes on as uid 0 of that namespace, and everything above runs in it as it runs for
// root. There is no process that holds it: each that is in it, a pod's keeper or a command, holds a lock on a byte of the
// record (Dir/.userns) as long as it lives, by which the next command finds it and joins. When the last has ended the
// namespace is gone, and nothing is left but an empty file. Containers that outlived both their keepers and supervisors
// are found by the number of the namespace, which is in the record.
//
// Joining and making happen in a C constructor, before Go's threads: a start of this program costs more than all of it. What
// a user must be told is found out and said in Go, by Enter.
package userns

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// order is the environment variable that tells the constructor to enter whatever the command line looks like.
const order = "_PCOMPOSE_USERNS"

// state is what the constructor did.
type state struct {
	inside, made, ordered bool
	// record is an open file of the process, -1 outside.
	record int
	// step failed by cause on the way in, after which nothing should go on; refused is why nothing was begun.
	step           string
	cause, refused syscall.Errno
	uid, gid       int
	// said is what newuidmap and newgidmap wrote.
	said string
}

// Settle completes what the constructor began; main calls it first. It tells the libraries of images, by the variables
// they read, that they work for a user, and programs that are started from here the same. It fails where the user's
// namespaces are there and could not be joined: nothing should go on outside of them.
func Settle() error {
	s := constructed()
	if err := os.Unsetenv(order); err != nil {
		return err
	}
	if s.inside {
		for name, value := range map[string]string{
			"_CONTAINERS_USERNS_CONFIGURED": "done",
			"_CONTAINERS_ROOTLESS_UID":      strconv.Itoa(s.uid),
			"_CONTAINERS_ROOTLESS_GID":      strconv.Itoa(s.gid),
		} {
			if err := os.Setenv(name, value); err != nil {
				return err
			}
		}
	}
	if s.step != "" {
		return fmt.Errorf("%s: %w%s", s.step, s.cause, hint(s.cause))
	}
	return nil
}

// hint says what a user can do about an error of user namespaces.
func hint(cause error) string {
	switch {
	case is("/proc/sys/user/max_user_namespaces", "0"):
		return ": the kernel allows no user namespaces: sudo sysctl user.max_user_namespaces=15000"
	case is("/proc/sys/kernel/unprivileged_userns_clone", "0"):
		return ": the kernel allows users no namespaces: sudo sysctl kernel.unprivileged_userns_clone=1"
	case is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") && (errors.Is(cause, syscall.EPERM) || errors.Is(cause, syscall.EACCES)):
		return ": AppArmor restricts the namespaces of users: give pcompose a profile that has `userns,`, or sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
	case errors.Is(cause, syscall.ENOSPC):
		return ": there are as many user namespaces as user.max_user_namespaces allows"
	}
	return ""
}

func is(file, value string) bool {
	b, err := os.ReadFile(file)
	return err == nil && string(b) == value+"\n"
}

// Rootless says whether this process acts for a user who is not root: as uid 0 of a user namespace, or outside of it.
func Rootless() bool {
	return UID() != 0
}

// UID is the user's ID on the host, whatever it is in the namespace.
func UID() int {
	if uid, err := strconv.Atoi(os.Getenv("_CONTAINERS_ROOTLESS_UID")); err == nil {
		return uid
	}
	return os.Geteuid()
}

// GID is the user's group on the host.
func GID() int {
	if gid, err := strconv.Atoi(os.Getenv("_CONTAINERS_ROOTLESS_GID")); err == nil {
		return gid
	}
	return os.Getegid()
}

// Mapped is how many user and group IDs there are in this namespace, from 0 on without a gap.
func Mapped() (uids, gids int, err error) {
	if uids, err = mappedIn("/proc/self/uid_map"); err == nil {
		gids, err = mappedIn("/proc/self/gid_map")
	}
	return uids, gids, err
}

func mappedIn(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	next := 0
	for line := range strings.Lines(string(text)) {
		var inside, outside, count int
		if _, err := fmt.Sscan(line, &inside, &outside, &count); err != nil {
			return 0, fmt.Errorf("cannot read %s: %w", file, err)
		}
		if inside == next {
			next += count
		}
	}
	return next, nil
}
