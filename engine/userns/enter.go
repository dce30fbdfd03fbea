package userns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Enter has the program go on in the user's namespaces. Root gets nil, and so does who is inside: nearly everybody, since
// the constructor has joined or made them. Where it could not, everybody gets an error. Where it was not to, because the command
// looked like one that needs none, or there was no record yet, Enter does not come back: the program starts again with the
// same arguments, so call it before anything is read or written. warn takes what the namespace lacks, once until the next
// boot, or until that is something else.
//
// Safe against a kill at any moment: a namespace lives by the processes in it.
func Enter(dir string, warn func(string)) error {
	s := constructed()
	var err error
	switch {
	case s.made:
		err = tell(s, warn)
	case s.inside || s.uid == 0:
	case s.refused != 0:
		err = fmt.Errorf("cannot make a user namespace: %w", s.refused)
	case s.ordered:
		err = errors.New("their namespaces cannot be entered")
	default:
		err = restart(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot run pods as user %d: %w%s", s.uid, err, hint(err))
	}
	return nil
}

// restart makes the record and replaces the program by itself, with the order to enter.
func restart(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	record, err := os.OpenFile(filepath.Join(dir, recordFile), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	record.Close()
	return fmt.Errorf("cannot start again: %w", unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), order+"=enter")))
}

// tell warns of what a namespace lacks that has just been made, and writes it behind the namespace into the record.
func tell(s state, warn func(string)) error {
	text := make([]byte, 4096)
	n, err := unix.Pread(s.record, text, 0)
	if err != nil {
		return fmt.Errorf("cannot read the record of namespaces: %w", err)
	}
	inode, said := recall(text[:n])
	lacks, err := lacking(s)
	if err != nil || lacks == said {
		return err
	}
	if lacks != "" {
		warn(lacks)
	}
	text = fmt.Appendf(nil, "%s\n%s\n", inode, lacks)
	if _, err = unix.Pwrite(s.record, text, 0); err == nil {
		err = unix.Ftruncate(s.record, int64(len(text)))
	}
	return err
}
