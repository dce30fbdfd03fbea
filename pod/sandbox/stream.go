package sandbox

import (
	"errors"
	"net"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// smallVessel is what most messages have room in. Whoever fills it is a bulk flow, of which a wake-up brings that much and more.
	smallVessel = 32 << 10
	// pipeSize is the most that a user may have a pipe hold (pipe(7), pipe-max-size).
	pipeSize = 1 << 20
	// largeVessel is for bulk flows that get no such pipe. A smaller one is a third slower, a larger one no faster.
	largeVessel = 256 << 10
	// bulkMax bounds what bulk flows of a port hold at once; further ones get along with small vessels.
	bulkMax = 32
	// sparePipes is how many pipes a port keeps: as many as one connection takes.
	sparePipes = 2
	// refusals is how often memory serves until a pipe is asked for again.
	refusals = 1000
)

// stream carries one direction of a connection. It takes a vessel when its source has something and gives it back when all of
// that has gone, so that a connection at rest has none. io.Copy between sockets holds a pipe as long as a connection lives, whatever it
// was given: a user's pipes beyond 64 MB together hold 8 KB each (pipe(7), pipe-user-pages-soft), and each pasta has half of that.
type stream struct {
	to, from *net.TCPConn
	vessels  *vessels
	// vessel has what is on the way, held is how much.
	vessel vessel
	held   int
	// bulk says that the last time there was more than a small vessel takes.
	bulk bool
	// err is what broke the stream.
	err error
}

// stream copies until the source ends, which the destination is told, or one of them breaks, which ends both.
func (p *proxy) stream(to, from *net.TCPConn) {
	s := &stream{to: to, from: from, vessels: &p.vessels}
	err := s.run()
	s.release()
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		_ = to.Close()
		_ = from.Close()
	}
}

// stayHere tells a TCP socket that what it sends does not leave this machine, where no path is congested: Reno, which every
// kernel has and every user may take (tcp(7), tcp_allowed_congestion_control), sends what the receiver's window has room for, while BBR, the
// default of many hosts, paces it by timers.
func stayHere(fd int) error {
	return unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
}

// run returns nil at the end of the source.
func (s *stream) run() error {
	source, err := s.from.SyscallConn()
	if err != nil {
		return err
	}
	destination, err := s.to.SyscallConn()
	if err != nil {
		return err
	}
	fill, drain := s.fill, s.drain
	for {
		if err := source.Read(fill); err != nil || s.err != nil || s.held == 0 {
			return errors.Join(err, s.err)
		}
		if err := destination.Write(drain); err != nil || s.err != nil {
			return errors.Join(err, s.err)
		}
		s.release()
	}
}

// fill takes what the source has; false if it has nothing. At its end nothing is held.
func (s *stream) fill(source uintptr) (done bool) {
	s.vessel = s.vessels.take(s.bulk)
	for s.err = unix.EINTR; errors.Is(s.err, unix.EINTR); {
		s.held, s.err = s.vessel.fill(int(source))
	}
	if errors.Is(s.err, unix.EAGAIN) {
		s.err = nil
		s.release()
		return false
	}
	s.bulk = s.held >= smallVessel
	return true
}

// drain moves what is held to the destination; false if that takes no more now.
func (s *stream) drain(destination uintptr) (done bool) {
	for s.held > 0 {
		n, err := s.vessel.drain(int(destination), s.held)
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			s.err = err
			return true
		}
		s.held -= n
	}
	return true
}

func (s *stream) release() {
	if s.vessel != nil {
		s.vessels.give(s.vessel, s.held == 0)
		s.vessel = nil
	}
}

// vessel has what is on the way from one socket to another. Neither side of it waits.
type vessel interface {
	fill(source int) (int, error)
	// drain is told how much is left.
	drain(destination, left int) (int, error)
}

// memory is a vessel for little, and in place of a pipe.
type memory struct{ all, left []byte }

func (m *memory) fill(source int) (int, error) {
	n, err := call(unix.SYS_READ, source, m.all)
	m.left = m.all[:n]
	return n, err
}

func (m *memory) drain(destination, _ int) (int, error) {
	n, err := call(unix.SYS_WRITE, destination, m.left)
	m.left = m.left[n:]
	return n, err
}

// pipe is a vessel by its descriptors. splice(2) moves the kernel's own pages: nothing passes through our memory.
type pipe struct{ in, out int }

func (p *pipe) fill(source int) (int, error) { return splice(source, p.in, pipeSize) }

func (p *pipe) drain(destination, left int) (int, error) { return splice(p.out, destination, left) }

// splice and call are raw: a call that the runtime knows of has the processor taken from it after 20 µs and another thread woken,
// several times a megabyte. They take some 100 µs and never wait.
func splice(from, to, size int) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(size), unix.SPLICE_F_NONBLOCK)
	return moved(n, errno)
}

// call is read(2) or write(2).
func call(number uintptr, fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return moved(n, errno)
}

func moved(n uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// openPipe makes a large pipe; nil where none is to be had.
func openPipe() *pipe {
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	p := &pipe{out: fds[0], in: fds[1]}
	for _, size := range []int{pipeSize, largeVessel} {
		if _, err := unix.FcntlInt(uintptr(p.in), unix.F_SETPIPE_SZ, size); err == nil {
			return p
		}
	}
	p.close()
	return nil
}

func (p *pipe) close() {
	_ = unix.Close(p.in)
	_ = unix.Close(p.out)
}

// vessels are those of a port. The zero value is ready.
type vessels struct {
	// small and large are memory, which the collector takes back.
	small, large sync.Pool

	mu sync.Mutex
	// pipes are those that nothing is in.
	pipes []*pipe
	// lent counts pipes and large ones in use, refused down to when a pipe is asked for again.
	lent, refused int
	closed        bool
}

func (v *vessels) take(bulk bool) vessel {
	if bulk {
		if large := v.takeLarge(); large != nil {
			return large
		}
	}
	return fromPool(&v.small, smallVessel)
}

func (v *vessels) takeLarge() vessel {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.lent == bulkMax {
		return nil
	}
	v.lent++
	if last := len(v.pipes) - 1; last >= 0 {
		p := v.pipes[last]
		v.pipes = v.pipes[:last]
		return p
	}
	if v.refused > 0 {
		v.refused--
	} else if p := openPipe(); p != nil {
		return p
	} else {
		v.refused = refusals
	}
	return fromPool(&v.large, largeVessel)
}

func fromPool(pool *sync.Pool, size int) *memory {
	if m, ok := pool.Get().(*memory); ok {
		return m
	}
	return &memory{all: make([]byte, size)}
}

// give takes a vessel back. A pipe that is not empty is of no use any more.
func (v *vessels) give(one vessel, empty bool) {
	m, ok := one.(*memory)
	if ok && len(m.all) == smallVessel {
		v.small.Put(m)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lent--
	if ok {
		v.large.Put(m)
	} else if p := one.(*pipe); empty && !v.closed && len(v.pipes) < sparePipes {
		v.pipes = append(v.pipes, p)
	} else {
		p.close()
	}
}

// close gives up what is spare, and what comes back later.
func (v *vessels) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.pipes {
		p.close()
	}
	v.pipes, v.closed = nil, true
}
