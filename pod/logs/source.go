package logs

import (
	"errors"

	"golang.org/x/sys/unix"
)

func (l *Log) source(s Stream, fd int) source {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return &ttySource{l: l, stream: s}
	}
	p := &pipeSource{l: l, stream: s, poll: []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}}
	p.splice = func(to int, at int64, max int) (int, error) {
		// An explicit offset: splice(2) refuses O_APPEND files.
		n, err := unix.Splice(fd, nil, to, &at, max, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		return int(n), err
	}
	return p
}

// pipeSource splices a pipe to the raw file.
type pipeSource struct {
	l      *Log
	stream Stream
	poll   []unix.PollFd
	splice func(to int, at int64, max int) (int, error)
}

// move looks first: an intent record would otherwise be written for every empty pipe, and the end of the pipe
// could not be told from nothing.
func (p *pipeSource) move(int) (int, error) {
	if _, err := unix.Poll(p.poll, 0); err != nil {
		return 0, err
	}
	switch got := p.poll[0].Revents; {
	case got&unix.POLLIN != 0:
	case got&(unix.POLLHUP|unix.POLLERR) != 0:
		return 0, nil
	default:
		return 0, unix.EAGAIN
	}
	n, err := p.l.add(p.stream, p.splice)
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
