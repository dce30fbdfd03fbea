package keeper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

const (
	supervisorFD = 3   // see keeper.c
	headerSize   = 16  // type, 3 pad, errno, number
	keyMax       = 128 // bytes
	filesMax     = 4
)

// ErrGone means that the keeper ended: it was told to, or it was killed.
var ErrGone = errors.New("the keeper is gone")

// Client is the supervisor's side of the keeper. Its methods may be called from any goroutine.
type Client struct {
	conn *net.UnixConn
	ring *ring
	call sync.Mutex // one request at a time: answers carry no number

	answers chan answer
	gone    chan struct{}

	mu   sync.Mutex
	wake chan struct{} // closed and replaced at every message
}

type answer struct {
	err  error
	body []byte
	fds  []int
}

// Connect takes the socket that the keeper gave this process as file descriptor 3. Call it once, first thing: until
// then a child would inherit the descriptor. It fails in a process that no keeper started.
func Connect() (*Client, error) {
	syscall.CloseOnExec(supervisorFD)
	f := os.NewFile(supervisorFD, "keeper")
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("cannot connect to keeper: %w", err)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New("cannot connect to keeper: descriptor 3 is not its socket")
	}
	c := &Client{conn: unixConn, answers: make(chan answer, 1), gone: make(chan struct{}), wake: make(chan struct{})}
	go c.read()
	if err := c.attach(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot connect to keeper: %w", err)
	}
	return c, nil
}

func (c *Client) attach() error {
	a, err := c.request('H', nil)
	if err != nil {
		return err
	}
	if len(a.fds) != 1 {
		return errors.New("no exit record came")
	}
	f := os.NewFile(uintptr(a.fds[0]), "exits")
	defer f.Close()
	c.ring, err = mapRing(f)
	return err
}

// read takes messages until the keeper ends. Every message is a reason to look at the ring: a wake that found the
// queue full was dropped.
func (c *Client) read() {
	defer close(c.gone)
	buf, oob := make([]byte, headerSize+keyMax), make([]byte, syscall.CmsgSpace(4*filesMax))
	for {
		n, m, _, _, err := c.conn.ReadMsgUnix(buf, oob)
		if err != nil || n < headerSize {
			return
		}
		c.mu.Lock()
		close(c.wake)
		c.wake = make(chan struct{})
		c.mu.Unlock()
		if buf[0] != 'R' {
			continue
		}
		a := answer{body: append([]byte(nil), buf[headerSize:n]...), fds: rights(oob[:m])}
		if no := binary.NativeEndian.Uint32(buf[4:]); no != 0 {
			a.err = syscall.Errno(no)
		}
		c.answers <- a
	}
}

// rights are the files of a message; the net package received them close-on-exec.
func rights(oob []byte) []int {
	var all []int
	msgs, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range msgs {
		fds, err := syscall.ParseUnixRights(&msgs[i])
		if err == nil {
			all = append(all, fds...)
		}
	}
	return all
}

func (c *Client) request(op byte, arg []byte, fds ...int) (answer, error) {
	c.call.Lock()
	defer c.call.Unlock()
	return c.requestLocked(op, arg, fds...)
}

func (c *Client) requestLocked(op byte, arg []byte, fds ...int) (answer, error) {
	var oob []byte
	if len(fds) > 0 {
		oob = syscall.UnixRights(fds...)
	}
	if _, _, err := c.conn.WriteMsgUnix(append([]byte{op}, arg...), oob, nil); err != nil {
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			err = ErrGone
		}
		return answer{}, err
	}
	select {
	case a := <-c.answers:
		return a, a.err
	case <-c.gone:
		return answer{}, ErrGone
	}
}

// Put gives the keeper 1 to 4 files to hold under a key of 1 to 128 bytes, in place of what the key held; the
// caller keeps its own. It returns their numbers in the keeper, valid as /proc/<keeper>/fd/N until the key is
// dropped or put again. It fails with EMFILE or ENOSPC when the keeper can hold no more (at most 2048 keys), and
// holds then what it held before. Idempotent, and safe against a kill at any moment: a key has all its files or none.
func (c *Client) Put(key string, files ...*os.File) ([]int, error) {
	var a answer
	err := withFDs(files, nil, func(fds []int) (err error) {
		a, err = c.request('P', []byte(key), fds...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot keep files of %q: %w", key, err)
	}
	held := make([]int, len(a.body)/4)
	for i := range held {
		held[i] = int(binary.NativeEndian.Uint32(a.body[4*i:]))
	}
	return held, nil
}

// withFDs runs do with the numbers of files. Fd() would switch them to blocking mode for everybody who shares them.
func withFDs(files []*os.File, fds []int, do func([]int) error) error {
	if len(files) == 0 {
		return do(fds)
	}
	rc, err := files[0].SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = rc.Control(func(fd uintptr) { inner = withFDs(files[1:], append(fds, int(fd)), do) })
	return errors.Join(err, inner)
}

// Drop lets go of a key's files. A key that is not held is no error.
func (c *Client) Drop(key string) error {
	if _, err := c.request('D', []byte(key)); err != nil {
		return fmt.Errorf("cannot drop files of %q: %w", key, err)
	}
	return nil
}

// List returns every key with duplicates of its files, which the caller closes. On an error it returns none.
func (c *Client) List() (map[string][]*os.File, error) {
	// Held throughout: a drop in between would move an entry past us.
	c.call.Lock()
	defer c.call.Unlock()
	all := map[string][]*os.File{}
	for i := uint32(0); ; i++ {
		a, err := c.requestLocked('G', binary.NativeEndian.AppendUint32(nil, i))
		if errors.Is(err, syscall.ENOENT) {
			return all, nil
		}
		if err == nil && len(a.fds) == 0 {
			err = syscall.EMFILE // the files were sent, this process had no number for them
		}
		if err != nil {
			for _, files := range all {
				for _, f := range files {
					f.Close()
				}
			}
			return nil, fmt.Errorf("cannot list kept files: %w", err)
		}
		for _, fd := range a.fds {
			all[string(a.body)] = append(all[string(a.body)], os.NewFile(uintptr(fd), string(a.body)))
		}
	}
}

// Quit ends the keeper and returns when it is gone: its files are closed, its children are left to init, and no
// supervisor is started again. The caller, its child too, should end soon after.
func (c *Client) Quit() error {
	_, err := c.request('Q', nil)
	if err == nil || errors.Is(err, ErrGone) {
		return nil
	}
	return fmt.Errorf("cannot end keeper: %w", err)
}
