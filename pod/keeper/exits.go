package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Exit is the end of a process that was, at its death, a child of the keeper: an orphan of the supervisor.
type Exit struct {
	// Seq counts from 1 in a runtime directory, over all keepers of it.
	Seq uint64
	PID int
	// Start is what StartTime said of it; 0 when /proc could not be read.
	Start  uint64
	Status syscall.WaitStatus
	// At is when it was reaped.
	At time.Time
}

// record and ring mirror keeper.c.
type record struct {
	seq, start  uint64
	pid, status int32
	at          int64
}

type ring struct {
	magic       uint64
	size, count uint32
	head        uint64
	_           [5]uint64
	rec         [records]record
}

const (
	records   = 1024
	ringMagic = 0x3153544958454b50
)

func mapRing(f *os.File) (*ring, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, int(unsafe.Sizeof(ring{})), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("cannot map exits: %w", err)
	}
	r := (*ring)(unsafe.Pointer(&mem[0]))
	if atomic.LoadUint64(&r.magic) != ringMagic || r.count != records || r.size != uint32(unsafe.Sizeof(record{})) {
		return nil, errors.Join(errors.New("cannot map exits: not an exit record"), unix.Munmap(mem))
	}
	return r, nil
}

// next is the first record after seq; older ones than the last 1024 are gone, which the jump in Seq shows.
func (r *ring) next(seq uint64) (Exit, bool) {
	for {
		head := atomic.LoadUint64(&r.head)
		if head > records && seq < head-records {
			seq = head - records
		}
		if seq >= head {
			return Exit{}, false
		}
		rec := &r.rec[seq%records]
		if atomic.LoadUint64(&rec.seq) == seq+1 {
			e := Exit{
				Seq: seq + 1, PID: int(atomic.LoadInt32(&rec.pid)), Start: atomic.LoadUint64(&rec.start),
				Status: syscall.WaitStatus(atomic.LoadInt32(&rec.status)), At: time.Unix(0, atomic.LoadInt64(&rec.at)),
			}
			// Overtaken while reading: the record is torn, a newer one is in its place.
			if atomic.LoadUint64(&rec.seq) == seq+1 {
				return e, true
			}
		}
		if atomic.LoadUint64(&r.head) == head {
			seq++ // being overwritten right now, or left so by a keeper that died: lost either way
		}
	}
}

// Next waits for the first exit after the record numbered after, 0 for the oldest kept. Those recorded while no
// supervisor lived are among them. Only the last 1024 are kept. It fails when ctx ends or the keeper is gone.
func (c *Client) Next(ctx context.Context, after uint64) (Exit, error) {
	for {
		// The channel is taken before the look, so that a record written in between wakes us.
		c.mu.Lock()
		wake := c.wake
		c.mu.Unlock()
		if e, ok := c.ring.next(after); ok {
			return e, nil
		}
		select {
		case <-ctx.Done():
			return Exit{}, ctx.Err()
		case <-c.gone:
			return Exit{}, ErrGone
		case <-wake:
		}
	}
}
