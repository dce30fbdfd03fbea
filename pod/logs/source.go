package logs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// look says whether a read of fd would give bytes: nil, EAGAIN, or ended. It comes before the intent record, which
// would otherwise be written for every empty pipe.
func look(fd int) (ended bool, err error) {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(p, 0); err != nil {
		return false, err
	}
	switch {
	case p[0].Revents&unix.POLLIN != 0:
		return false, nil
	case p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0:
		return true, nil
	default:
		return false, unix.EAGAIN
	}
}

// pipeSource splices a pipe to the raw file.
type pipeSource struct {
	l      *Log
	stream Stream
}

func (p *pipeSource) move(fd int) (int, error) {
	if ended, err := look(fd); err != nil || ended {
		return 0, err
	}
	n, err := p.l.add(p.stream, func(to int, at int64, max int) (int, error) {
		// An explicit offset: splice(2) refuses O_APPEND files.
		n, err := unix.Splice(fd, nil, to, &at, max, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		return int(n), err
	})
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		err = errStore{err}
	}
	return n, err
}

// ttySource reads a terminal, whose splice(2) to a file fails (EINVAL: neither is a pipe), and writes what it read.
type ttySource struct {
	l      *Log
	stream Stream
	buf    [4096]byte // a terminal gives no more at once
	held   []byte     // read, not yet written
}

func (t *ttySource) move(fd int) (int, error) {
	if len(t.held) == 0 {
		n, err := unix.Read(fd, t.buf[:])
		if errors.Is(err, unix.EIO) {
			return 0, nil // the last user of the terminal closed it
		}
		if err != nil || n == 0 {
			return 0, err
		}
		t.held = t.buf[:n]
	}
	n, err := t.l.add(t.stream, func(to int, at int64, max int) (int, error) {
		return unix.Pwrite(to, t.held[:min(len(t.held), max)], at)
	})
	t.held = t.held[n:]
	if err != nil {
		err = errStore{err}
	}
	return n, err
}

// discard reads into nothing.
type discard struct{ buf [4096]byte }

func (d *discard) move(fd int) (int, error) {
	n, err := unix.Read(fd, d.buf[:])
	if errors.Is(err, unix.EIO) {
		return 0, nil
	}
	return max(n, 0), err
}
