package logs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NewPipe makes the pipe for one stream of a container: r for Pump, non-blocking, and w for the container, blocking.
//
// w is open for reading too, so the container itself holds the pipe's read side: as long as it lives, a write gives
// no EPIPE and no SIGPIPE, whatever happens to supervisor and keeper; it only waits when the pipe is full. The price:
// a container can read back its own output. The pipe is anonymous, since CRIU refuses named FIFOs from outside the
// container. r reports the end when every copy of w is closed, the caller's included.
//
// A container that runs as another user reopens /dev/stdout only if the caller chowns w to that user.
func NewPipe() (r, w *os.File, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, nil, fmt.Errorf("cannot make log pipe: %w", err)
	}
	defer unix.Close(p[1])
	// Opening through /proc makes a new open file description: read-write, which pipe(2) does not offer, and
	// blocking, which the container expects, while r is not.
	path := fmt.Sprintf("/proc/self/fd/%d", p[1])
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(p[0])
		return nil, nil, fmt.Errorf("cannot make log pipe: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	// Room for what a container writes while no supervisor lives. Users without CAP_SYS_RESOURCE have a limit of
	// 1 MiB a pipe and 64 MiB in all (pipe(7)); whatever is granted will do.
	for size := 1 << 20; size > 64<<10; size >>= 1 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, size); err == nil {
			break
		}
	}
	return os.NewFile(uintptr(p[0]), "log pipe"), os.NewFile(uintptr(fd), "container output"), nil
}
