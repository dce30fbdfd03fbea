package sandbox

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tcpPair are the two ends of a connection.
func tcpPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	if os.Getenv(insideVar) != "" {
		must(t, loopbackUp())
	}
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	defer l.Close()
	near, err = net.DialTCP("tcp4", nil, l.Addr().(*net.TCPAddr))
	must(t, err)
	far, err = l.AcceptTCP()
	must(t, err)
	for _, c := range []*net.TCPConn{near, far} {
		must(t, c.SetDeadline(time.Now().Add(time.Minute))) // of a test that would hang
		t.Cleanup(func() { c.Close() })
	}
	return near, far
}

// joined is a client and a server with a proxy between them, and what is closed when both directions are over.
func joined(t *testing.T, p *proxy) (client, server *net.TCPConn, over chan struct{}) {
	t.Helper()
	client, in := tcpPair(t)
	out, server := tcpPair(t)
	for _, c := range []*net.TCPConn{in, out} {
		must(t, c.SetDeadline(time.Time{}))
		if !p.track(c, nil) {
			t.Fatal("the proxy is closed")
		}
	}
	over = make(chan struct{})
	go func() {
		defer close(over)
		p.join(in, out)
		p.forget(in)
		p.forget(out)
	}()
	return client, server, over
}

// streams runs a test with pipes, and with memory as where there are none.
func streams(t *testing.T, f func(t *testing.T, p *proxy)) {
	for name, refused := range map[string]int{"pipe": 0, "memory": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			p := newProxy()
			p.vessels.refused = refused
			defer p.close()
			f(t, p)
			if p.vessels.lent != 0 {
				t.Errorf("%d vessels were not given back", p.vessels.lent)
			}
		})
	}
}

func send(t *testing.T, c io.Writer, size int) {
	t.Helper()
	_, err := c.Write(make([]byte, size))
	must(t, err)
}

func receive(t *testing.T, c io.Reader, size int) {
	t.Helper()
	_, err := io.ReadFull(c, make([]byte, size))
	must(t, err)
}

func wantEnd(t *testing.T, c io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(c); err != nil || len(rest) != 0 {
		t.Errorf("at the end there are %d bytes, %v", len(rest), err)
	}
}

func TestStreamKeepsBytes(t *testing.T) {
	streams(t, func(t *testing.T, p *proxy) {
		client, server, over := joined(t, p)
		// Sums of what was sent and received by each.
		sums := make(chan [2]uint32, 2)
		for i, c := range []*net.TCPConn{client, server} {
			sent := make(chan uint32)
			go func() {
				random, sum := rand.New(rand.NewPCG(7, uint64(i))), crc32.NewIEEE()
				source := make([]byte, 3<<20)
				for j := range source {
					source[j] = byte(random.Uint32())
				}
				for left := 100 << 20; left > 0; {
					// From a byte to megabytes, all magnitudes alike.
					size := min(left, 1+random.IntN(1<<random.IntN(22)))
					at := random.IntN(len(source) - size + 1)
					sum.Write(source[at : at+size])
					if _, err := c.Write(source[at : at+size]); err != nil {
						t.Error(err)
						break
					}
					left -= size
				}
				c.CloseWrite()
				sent <- sum.Sum32()
			}()
			go func() {
				sum := crc32.NewIEEE()
				if _, err := io.Copy(sum, c); err != nil {
					t.Error(err)
				}
				sums <- [2]uint32{<-sent, sum.Sum32()}
			}()
		}
		one, other := <-sums, <-sums
		if one[0] != other[1] || one[1] != other[0] {
			t.Errorf("sums of what was sent and received are %x and %x", one, other)
		}
		<-over
	})
}

func TestStreamHalfCloses(t *testing.T) {
	streams(t, func(t *testing.T, p *proxy) {
		for range 2 {
			first, last, over := joined(t, p)
			send(t, first, 10)
			must(t, first.CloseWrite())
			receive(t, last, 10)
			wantEnd(t, last)
			send(t, last, 3<<20) // the other direction goes on
			must(t, last.CloseWrite())
			receive(t, first, 3<<20)
			wantEnd(t, first)
			<-over
		}
	})
}

// TestStreamHoldsNothingBack has the end of a large message arrive while the source sends no more and stays open, and what is
// answered and asked after it.
func TestStreamHoldsNothingBack(t *testing.T) {
	streams(t, func(t *testing.T, p *proxy) {
		client, server, over := joined(t, p)
		for _, size := range []int{1, smallVessel - 1, smallVessel, smallVessel + 1, pipeSize + 1, 16<<20 + 1, 100, 5} {
			go send(t, client, size)
			receive(t, server, size)
			send(t, server, 1)
			receive(t, client, 1)
		}
		must(t, client.Close())
		wantEnd(t, server)
		must(t, server.Close())
		<-over
	})
}

func TestStreamPassesResetsOn(t *testing.T) {
	streams(t, func(t *testing.T, p *proxy) {
		client, server, over := joined(t, p)
		send(t, client, 1<<20)
		receive(t, server, 1<<20)
		must(t, client.SetLinger(0))
		must(t, client.Close())
		if _, err := server.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the server of a reset client reads %v", err)
		}
		server.Close()
		<-over
	})
}

// TestStreamClosesWhileFull ends connections whose destinations read nothing.
func TestStreamClosesWhileFull(t *testing.T) {
	for name, end := range map[string]func(p *proxy){"close": func(p *proxy) { p.close() }, "leave": func(p *proxy) { p.leave(nil) }} {
		t.Run(name, func(t *testing.T) {
			streams(t, func(t *testing.T, p *proxy) {
				client, server, over := joined(t, p)
				for _, c := range []*net.TCPConn{client, server} {
					for n := 1; n > 0; { // until nothing is taken for a while
						must(t, c.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
						n, _ = c.Write(make([]byte, 1<<20))
					}
				}
				end(p)
				<-over
				for _, c := range []*net.TCPConn{client, server} {
					if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("a connection stays open")
					}
				}
			})
		})
	}
}

// TestStreamAtRest has many connections that once carried much hold no pipe, and all work.
func TestStreamAtRest(t *testing.T) {
	before := countPipes(t)
	p := newProxy()
	var clients, servers []*net.TCPConn
	for range 100 {
		client, server, _ := joined(t, p)
		go send(t, client, 1<<20)
		receive(t, server, 1<<20)
		clients, servers = append(clients, client), append(servers, server)
	}
	eventually(t, "connections at rest have no pipes", func() bool { return countPipes(t)-before <= 2*sparePipes })
	for i, c := range clients {
		send(t, servers[i], 9)
		receive(t, c, 9)
	}
	p.close()
	eventually(t, "a closed proxy has no pipes", func() bool { return countPipes(t) <= before })
}

// countPipes counts the ends of pipes that this process has.
func countPipes(t *testing.T) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, fd := range fds {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

// TestStreamWithoutPipes has more bulk flows at once than there are large vessels.
func TestStreamWithoutPipes(t *testing.T) {
	p := newProxy()
	defer p.close()
	ends := make(chan error)
	message := bytes.Repeat([]byte("pcompose"), 1<<18)
	for range bulkMax + 8 {
		client, server, _ := joined(t, p)
		go func() {
			_, err := client.Write(message)
			ends <- err
		}()
		go func() {
			got := make([]byte, len(message))
			_, err := io.ReadFull(server, got)
			if err == nil && !bytes.Equal(got, message) {
				err = errors.New("another message came")
			}
			ends <- err
		}()
	}
	for range 2 * (bulkMax + 8) {
		must(t, <-ends)
	}
}

func TestStreamGetsMemoryForSmallPipes(t *testing.T) {
	v := &vessels{}
	defer v.close()
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	none := limit
	none.Cur = 3
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &none))
	one := v.take(true)
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	if _, ok := one.(*memory); !ok {
		t.Errorf("without descriptors a flow gets %T", one)
	}
	v.give(one, true)
	for range refusals {
		v.give(v.take(true), true)
	}
	one = v.take(true)
	if _, ok := one.(*pipe); !ok {
		t.Errorf("it is asked for a pipe again and gets %T", one)
	}
	v.give(one, true)
}

func TestStreamStaysHere(t *testing.T) {
	c, _ := tcpPair(t)
	must(t, control(c, stayHere))
	must(t, control(c, func(fd int) error {
		got, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		if got != "reno" {
			t.Errorf("it sends by %q", got)
		}
		return err
	}))
}
