package cli

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// menu are the keys of an up that shows logs, pressed in its terminal.
type menu struct {
	// keys brings them; nil brings none.
	keys <-chan byte
	// close gives the terminal back as it was. Idempotent.
	close func()
}

// menuByDefault is what COMPOSE_MENU says; without it there is a menu.
func menuByDefault(value string) bool { return value == "" || isTrue(value) }

// openMenu takes keys as they are pressed, where in is a terminal that is ours to read: a program in the background would
// be stopped (SIGTTOU, termios(3)). Ctrl-C stays a signal.
func openMenu(in *os.File) (menu, error) {
	none := menu{close: func() {}}
	if !isTerminal(in) {
		return none, nil
	}
	fd := int(in.Fd())
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		return none, nil
	}
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return none, fmt.Errorf("cannot read the terminal's modes: %w", err)
	}
	now := *before
	now.Lflag &^= unix.ICANON | unix.ECHO
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &now); err != nil {
		return none, fmt.Errorf("cannot take keys from the terminal: %w", err)
	}
	keys := make(chan byte)
	go func() { // ends with the terminal, or the program
		for key := make([]byte, 1); ; {
			if n, err := in.Read(key); n == 0 || err != nil {
				return
			}
			keys <- key[0]
		}
	}()
	return menu{keys, func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }}, nil // fails where the terminal has gone
}

// offerMenu opens the menu of an up and says what it has. Without a terminal to say it on there is none.
func (a attachment) offerMenu(r runner) menu {
	none := menu{close: func() {}}
	if !a.opt.menu || !r.env.ui.Out.Terminal {
		return none
	}
	m, err := openMenu(r.env.streams.In)
	if err != nil {
		r.env.ui.Warn(err.Error())
		return none
	}
	if m.keys != nil {
		r.env.ui.Say("Keys: d detaches and leaves the services running, w watches files or ends that, Ctrl+C stops the services")
	}
	return m
}

// press does what a key of the menu means. It says whether up is to detach.
func (a attachment) press(ctx context.Context, r runner, files *upWatch, key byte) bool {
	switch key {
	case 'd':
		files.detach(ctx)
		r.env.ui.Say("Detached: %s goes on running (pcompose logs -f shows it, pcompose stop stops it)", a.spec.Name)
		return true
	case 'w':
		files.toggle(ctx)
	}
	return false
}
