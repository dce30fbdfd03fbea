package control_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

// TestMain is a client of another user where the environment names a socket: it prints what became of its
// connection.
func TestMain(m *testing.M) {
	path := os.Getenv("PCT_CONTROL_DIAL")
	if path == "" {
		os.Exit(m.Run())
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	fmt.Println(err)
}

// listen is a listener in dir and its path.
func listen(t *testing.T, dir string) *net.UnixListener {
	t.Helper()
	f, err := control.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.UnixListener)
}

// pair is both ends of a connection.
func pair(t *testing.T) (client, server *control.Conn) {
	t.Helper()
	dir := t.TempDir()
	l := listen(t, dir)
	client, err := control.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	server, err = control.Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// raw is a client that need not keep to the words, and the server's end.
func raw(t *testing.T) (client *net.UnixConn, server *control.Conn) {
	t.Helper()
	dir := t.TempDir()
	l := listen(t, dir)
	c, err := net.Dial("unix", filepath.Join(dir, control.Socket))
	if err != nil {
		t.Fatal(err)
	}
	if server, err = control.Accept(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); server.Close() })
	return c.(*net.UnixConn), server
}

func TestMessages(t *testing.T) {
	client, server := pair(t)
	for _, id := range []string{"a", "", strings.Repeat("long ", 1<<18)} { // 1.25 MiB: more than a socket holds
		sent := make(chan error, 1)
		go func() { sent <- client.Send(control.Request{Start: &control.Start{ID: id}}) }()
		var got control.Request
		if files, err := server.Receive(&got); err != nil || len(files) > 0 || got.Start == nil || got.Start.ID != id {
			t.Fatalf("%d bytes: %v, files %v", len(id), err, files)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	if _, err := server.Receive(&control.Request{}); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

// TestFiles: files come with their message, beside long ones too, and not with the next.
func TestFiles(t *testing.T) {
	client, server := pair(t)
	for _, n := range []int{1, 8} {
		var readers, writers []*os.File
		for range n {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			readers, writers = append(readers, r), append(writers, w)
		}
		go func() {
			if err := errors.Join(client.Send(control.Reply{Error: strings.Repeat("x", 1<<20)}, writers...), client.Send(control.Reply{})); err != nil {
				t.Error(err)
			}
			for _, w := range writers {
				w.Close() // what was sent are duplicates
			}
		}()
		var reply control.Reply
		files, err := server.Receive(&reply)
		if err != nil || len(files) != n || len(reply.Error) != 1<<20 {
			t.Fatalf("%d files: %d of them, %v", n, len(files), err)
		}
		for i, f := range files {
			if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("file %d is not close-on-exec: %v", i, err)
			}
			fmt.Fprintf(f, "file %d", i)
			f.Close()
		}
		if files, err := server.Receive(&reply); err != nil || len(files) > 0 {
			t.Errorf("the next message has files %v, %v", files, err)
		}
		for i, r := range readers {
			if b, err := io.ReadAll(r); err != nil || string(b) != fmt.Sprintf("file %d", i) {
				t.Errorf("pipe %d: %q, %v", i, b, err)
			}
		}
	}
}

// TestSendKeepsFiles: sending a file leaves it as it was, in non-blocking mode.
func TestSendKeepsFiles(t *testing.T) {
	client, server := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := client.Send(control.Reply{}, r); err != nil {
		t.Fatal(err)
	}
	files, err := server.Receive(&control.Reply{})
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	defer files[0].Close()
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("flags %x, %v", flags, err)
		}
	})
}

// open counts the open files of this process.
func open(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestTooManyFiles: neither end lets more through than a message may have, and none stays open.
func TestTooManyFiles(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	nine := make([]*os.File, 9)
	fds := make([]int, 9)
	for i := range nine {
		nine[i], fds[i] = null, int(null.Fd())
	}
	client, _ := pair(t)
	if err := client.Send(control.Reply{}, nine...); err == nil {
		t.Error("sent")
	}
	c, server := raw(t)
	before := open(t)
	if _, _, err := c.WriteMsgUnix([]byte("\x00\x00\x00\x02{}"), unix.UnixRights(fds...), nil); err != nil {
		t.Fatal(err)
	}
	if files, err := server.Receive(&control.Reply{}); err == nil || files != nil {
		t.Errorf("received %v, %v", files, err)
	}
	if after := open(t); after != before {
		t.Errorf("%d files stay open", after-before)
	}
}

// TestGarbage: what is no message is an error, never a wait, and its files do not stay open.
func TestGarbage(t *testing.T) {
	frame := func(size uint32, body string) string {
		return string(binary.BigEndian.AppendUint32(nil, size)) + body
	}
	for name, test := range map[string]struct{ bytes, want string }{
		"half a length":    {"\x00\x00", "unexpected EOF"},
		"no body":          {frame(7, ""), "unexpected EOF"},
		"half a body":      {frame(7, "{}"), "unexpected EOF"},
		"no JSON":          {frame(4, "nope"), "invalid character"},
		"another language": {"GET / HTTP/1.1\r\n\r\n", "too long"},
		"empty":            {frame(0, ""), "unexpected end of JSON input"},
		"wrong type":       {frame(2, "[]"), "cannot unmarshal"},
		"huge":             {frame(1<<32-1, ""), "message of 4294967295 bytes is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			c, server := raw(t)
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.WriteMsgUnix([]byte(test.bytes), unix.UnixRights(int(null.Fd())), nil); err != nil {
				t.Fatal(err)
			}
			null.Close()
			c.CloseWrite()
			before := open(t)
			files, err := server.Receive(&control.Request{})
			if err == nil || !strings.Contains(err.Error(), test.want) || files != nil {
				t.Errorf("%v, files %v; want %s", err, files, test.want)
			}
			if after := open(t); after != before {
				t.Errorf("%d files stay open", after-before)
			}
		})
	}
}

// TestCloseOn: a wait ends with its context.
func TestCloseOn(t *testing.T) {
	client, _ := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	client.CloseOn(ctx)
	cancel()
	if _, err := client.Receive(&control.Reply{}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// TestListen: the socket is its owner's only, takes the place of a dead one, in a directory however long, and
// connections wait in its queue.
func TestListen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Dial(t.Context(), dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nobody listens: %v", err)
	}
	for range 2 {
		f, err := control.Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dir, control.Socket)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		c, err := control.Dial(t.Context(), dir)
		if err == nil {
			err = c.Send(control.Request{Status: &struct{}{}})
		}
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		server, err := control.Accept(l.(*net.UnixListener))
		if err != nil {
			t.Fatal(err)
		}
		var req control.Request
		if _, err := server.Receive(&req); err != nil || req.Status == nil {
			t.Errorf("%+v, %v", req, err)
		}
		for _, end := range []io.Closer{f, l, c, server} {
			end.Close()
		}
		if _, err := control.Dial(t.Context(), dir); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the listener is dead: %v", err)
		}
	}
	if _, err := control.Listen(filepath.Join(dir, "no")); err == nil || !strings.HasPrefix(err.Error(), "cannot listen in ") {
		t.Error(err)
	}
}

// TestPeer: another user's connection is dropped, whatever the permissions of the socket, and the next is served.
func TestPeer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	dir, err := os.MkdirTemp("", "pct") // t.TempDir has parents that others may not enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := listen(t, dir)
	path := filepath.Join(dir, control.Socket)
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() {
		c, err := control.Accept(l)
		if err == nil {
			err = errors.Join(c.Send(control.Reply{Error: "hello"}), c.Close())
		}
		accepted <- err
	}()
	program := filepath.Join(dir, "client")
	if b, err := os.ReadFile("/proc/self/exe"); err != nil {
		t.Fatal(err)
	} else if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	stranger := exec.Command(program)
	stranger.Dir = "/"
	stranger.Env = []string{"PCT_CONTROL_DIAL=" + path}
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := stranger.CombinedOutput(); err != nil || string(out) != "EOF\n" {
		t.Errorf("the stranger got %q, %v", out, err)
	}
	friend, err := control.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer friend.Close()
	var reply control.Reply
	if _, err := friend.Receive(&reply); err != nil || reply.Error != "hello" {
		t.Errorf("the friend got %+v, %v", reply, err)
	}
	if err := <-accepted; err != nil {
		t.Error(err)
	}
}

// TestBundle: what is written is read; what is not there or damaged says so.
func TestBundle(t *testing.T) {
	dir := t.TempDir()
	if _, err := control.ReadBundle(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := control.ReadRun(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	b := control.Bundle{ID: "abc", Container: pod.Container{Name: "web", Command: []string{}}, UID: 7}
	run := control.Run{Start: 12}
	run.Run = pod.Run{State: pod.StateRunning, PID: 4}
	run.Launching = true
	if err := errors.Join(control.WriteBundle(dir, b), control.WriteRun(dir, run), control.WritePod(dir, control.Pod{Name: "shop"})); err != nil {
		t.Fatal(err)
	}
	if got, err := control.ReadBundle(dir); err != nil || got.ID != "abc" || got.Container.Name != "web" || got.UID != 7 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := control.ReadRun(dir); err != nil || got.Run.PID != 4 || !got.Launching || got.Start != 12 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := control.ReadPod(dir); err != nil || got.Name != "shop" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bundle.json"), []byte(`{"ID`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := control.ReadBundle(dir); err == nil || !strings.HasPrefix(err.Error(), "cannot read ") {
		t.Error(err)
	}
	if err := control.WritePod(filepath.Join(dir, "no"), control.Pod{}); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}
