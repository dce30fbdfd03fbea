package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

func TestPublishConverges(t *testing.T) {
	host(t)
	machine, host4, _, its4 := outside(t)
	s := start(t, "live")
	v4, _ := s.Address()
	echoTCP(t, s, 80)
	echoTCP(t, s, 81)
	through := func(port uint16) string { return fmt.Sprintf("%d saw %s\nhello", port, v4) }
	_, err := s.Publish([]pod.Port{tcp("web", 18090, 80), tcp("web", 18091, 80)})
	must(t, err)
	kept, err := net.Dial("tcp", "127.0.0.1:18090")
	must(t, err)
	defer kept.Close()

	// One kept, one dropped, one new; then once more.
	for range 2 {
		_, err = s.Publish([]pod.Port{tcp("web", 18090, 80), tcp("web", 18092, 81)})
		must(t, err)
		wantAnswer(t, nil, "127.0.0.1", 18090, through(80))
		wantRefused(t, nil, "127.0.0.1", 18091)
		wantRefused(t, machine, host4.String(), 18091)
		wantAnswer(t, nil, "127.0.0.1", 18092, through(81))
		wantAnswer(t, machine, host4.String(), 18092, fmt.Sprintf("81 saw %s\nhello", its4))
	}
	buf := make([]byte, 64)
	if n, err := kept.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "80 saw") {
		t.Errorf("a connection through a kept port gets %q, %v", buf[:n], err)
	}
	// Another container behind the same port; a narrower address where the wide one was.
	_, err = s.Publish([]pod.Port{tcp("api", 18090, 81), {Container: "web", HostIP: "127.0.0.1", HostPort: 18092, ContainerPort: 80, Protocol: pod.TCP}})
	must(t, err)
	wantAnswer(t, nil, "127.0.0.1", 18090, through(81))
	wantAnswer(t, nil, "127.0.0.1", 18092, through(80))
	wantRefused(t, machine, host4.String(), 18092)

	_, err = s.Publish(nil)
	must(t, err)
	wantRefused(t, nil, "127.0.0.1", 18090)
	if p := s.Published(); len(p) != 0 {
		t.Errorf("published %v", p)
	}
}

func TestChosenPort(t *testing.T) {
	host(t)
	s := start(t, "chosen")
	echoTCP(t, s, 80)
	want := []pod.Port{tcp("web", 0, 80), tcp("web", 18093, 80), {Container: "dns", ContainerPort: 53, Protocol: pod.UDP}}
	bound, err := s.Publish(want)
	must(t, err)
	if bound[0].HostPort == 0 || bound[2].HostPort == 0 || bound[1] != want[1] {
		t.Fatalf("bound %v", bound)
	}
	again, err := s.Publish(want)
	must(t, err)
	if !slices.Equal(again, bound) {
		t.Errorf("bound %v, before %v", again, bound)
	}
	if got, err := ask(nil, netip.MustParseAddr("127.0.0.1"), bound[0].HostPort); err != nil || !strings.HasSuffix(got, "hello") {
		t.Errorf("port %d: %q, %v", bound[0].HostPort, got, err)
	}
}

func TestTakenPortNamesItsOwner(t *testing.T) {
	host(t)
	s := start(t, "taken")
	echoTCP(t, s, 80)
	_, err := s.Publish([]pod.Port{tcp("web", 18094, 80)})
	must(t, err)
	rules := run(t, "nft", "list", "ruleset")

	for _, at := range []string{"127.0.0.1:18095", "0.0.0.0:18095", "[::1]:18095", "[::]:18095"} {
		l, err := net.Listen("tcp", at)
		must(t, err)
		_, err = s.Publish([]pod.Port{tcp("web", 18094, 81), tcp("web", 18096, 80), tcp("web", 18095, 80)})
		var taken *PortTaken
		want := fmt.Sprintf("cannot publish port 18095/tcp for \"web\": address already in use by %s (pid %d)", program(t), os.Getpid())
		if !errors.As(err, &taken) || err.Error() != want {
			t.Errorf("%s: error is %v\nwant %s", at, err, want)
		}
		l.Close()
	}
	// All or nothing.
	if got, want := s.Published(), []pod.Port{tcp("web", 18094, 80)}; !slices.Equal(got, want) {
		t.Errorf("published %v, want %v", got, want)
	}
	if now := run(t, "nft", "list", "ruleset"); now != rules {
		t.Errorf("rules are\n%s\nwere\n%s", now, rules)
	}
	wantRefused(t, nil, "127.0.0.1", 18096)
	v4, _ := s.Address()
	wantAnswer(t, nil, "127.0.0.1", 18094, fmt.Sprintf("80 saw %s\nhello", v4))

	// A port given up for another address comes back when that fails.
	narrow := tcp("web", 18094, 80)
	narrow.HostIP = "127.0.0.1"
	l, err := net.Listen("tcp", "127.0.0.1:18095")
	must(t, err)
	defer l.Close()
	if _, err := s.Publish([]pod.Port{narrow, tcp("web", 18095, 80)}); err == nil {
		t.Error("a taken port is published")
	}
	wantAnswer(t, nil, "::1", 18094, fmt.Sprintf("80 saw %s\nhello", v4))

	_, err = s.Publish([]pod.Port{tcp("web", 18097, 80), tcp("api", 18097, 80)})
	if want := `cannot publish port 18097/tcp for "api": address already in use by port 80 of "web"`; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	far := tcp("web", 18097, 80)
	far.HostIP = "203.0.113.9"
	_, err = s.Publish([]pod.Port{far})
	if want := `cannot publish port 203.0.113.9:18097/tcp for "web": bind: cannot assign requested address`; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestNobodyListensIsAReset(t *testing.T) {
	host(t)
	s := start(t, "reset")
	_, err := s.Publish([]pod.Port{tcp("web", 18098, 80)})
	must(t, err)
	if got, err := ask(nil, netip.MustParseAddr("127.0.0.1"), 18098); err == nil {
		t.Errorf("a port nobody listens on answers %q", got)
	}
}

func TestManyPorts(t *testing.T) {
	host(t)
	s := start(t, "many")
	echoTCP(t, s, 80)
	var want []pod.Port
	for i := range uint16(600) {
		want = append(want, tcp("web", 19000+i, 80))
	}
	_, err := s.Publish(want)
	must(t, err)
	if _, err := ask(nil, netip.MustParseAddr("127.0.0.1"), 19599); err != nil {
		t.Error(err)
	}
}

func TestManyConnections(t *testing.T) {
	host(t)
	s := start(t, "load")
	echoTCP(t, s, 80)
	_, err := s.Publish([]pod.Port{tcp("web", 18100, 80)})
	must(t, err)
	errs := make(chan error)
	for range 20 {
		go func() {
			for range 50 {
				if got, err := ask(nil, netip.MustParseAddr("127.0.0.1"), 18100); err != nil || !strings.HasSuffix(got, "hello") {
					errs <- fmt.Errorf("%q, %w", got, errors.Join(errors.New("wrong or no answer"), err))
					return
				}
			}
			errs <- nil
		}()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	// No thread of ours was left in the pod's namespace.
	here, err := os.Readlink("/proc/self/ns/net")
	must(t, err)
	tasks, err := os.ReadDir("/proc/self/task")
	must(t, err)
	for _, task := range tasks {
		if ns, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/net"); err == nil && ns != here {
			t.Errorf("thread %s is in %s, not in %s", task.Name(), ns, here)
		}
	}
}

func TestTaken(t *testing.T) {
	host(t)
	tests := []struct {
		listen string
		ip     string
		taken  bool
	}{
		{"127.0.0.1:18110", "", true}, {"127.0.0.1:18110", "127.0.0.1", true}, {"127.0.0.1:18110", "127.0.0.2", false},
		{"127.0.0.1:18110", "0.0.0.0", true}, {"127.0.0.1:18110", "::1", false}, {"127.0.0.1:18111", "", false},
		{"0.0.0.0:18110", "127.0.0.1", true}, {"0.0.0.0:18110", "::", false}, {"[::]:18110", "127.0.0.1", true},
		{"[::1]:18110", "", true}, {"[::1]:18110", "::", true}, {"[::1]:18110", "0.0.0.0", false},
	}
	for _, test := range tests {
		for _, protocol := range []string{pod.TCP, pod.UDP} {
			var closer interface{ Close() error }
			var err error
			family := "" // Go takes 0.0.0.0 of "tcp" for both families.
			if strings.HasPrefix(test.listen, "0.0.0.0") {
				family = "4"
			}
			if protocol == pod.TCP {
				closer, err = net.Listen(protocol+family, test.listen)
			} else {
				closer, err = net.ListenPacket(protocol+family, test.listen)
			}
			must(t, err)
			for how, list := range map[string]func(string) ([]hostListener, error){"sock_diag": diagListeners, "/proc": procListeners} {
				ls, err := list(protocol)
				must(t, err)
				p := pod.Port{HostIP: test.ip, HostPort: 18110, Protocol: protocol}
				if got := slices.ContainsFunc(ls, func(l hostListener) bool { return l.overlaps(p) }); got != test.taken {
					t.Errorf("by %s, %s %s: %q is taken: %v", how, protocol, test.listen, test.ip, got)
				}
			}
			closer.Close()
		}
	}
}

func TestTakenNamesAnotherProcess(t *testing.T) {
	host(t)
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestListenForAnother$")
	cmd.Env = append(os.Environ(), "PCT_SANDBOX_LISTEN=127.0.0.1:18112")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	ready := make([]byte, 1)
	_, err = out.Read(ready)
	must(t, err)
	got, err := Taken([]pod.Port{tcp("", 18112, 0), tcp("x", 18112, 5), tcp("", 18113, 0), tcp("", 0, 0)}, nil)
	must(t, err)
	want := []pod.TakenPort{{
		HostPort: 18112, Protocol: pod.TCP, Owner: fmt.Sprintf("%s (pid %d)", program(t), cmd.Process.Pid),
		PID: cmd.Process.Pid, Process: program(t), Mine: true, Free: 18114, // 18113 is asked for
	}}
	if len(got) == 1 {
		want[0].Stop = got[0].Stop // by what runs the tests
	}
	if !slices.Equal(got, want) || got[0].Stop == "" {
		t.Errorf("taken %v, want %v", got, want)
	}
}

// TestListenForAnother is no test: it is the other process of the one above.
func TestListenForAnother(t *testing.T) {
	at := os.Getenv("PCT_SANDBOX_LISTEN")
	if at == "" {
		t.Skip("SKIPPED: only run by TestTakenNamesAnotherProcess")
	}
	l, err := net.Listen("tcp", at)
	must(t, err)
	defer l.Close()
	os.Stdout.Write([]byte("."))
	os.Stdin.Read(make([]byte, 1))
}
