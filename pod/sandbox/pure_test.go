package sandbox

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

func TestHosts(t *testing.T) {
	web := pod.Container{Name: "shop-web-1", Service: "web", Replica: 1, Cell: "default", Hostname: "www", Domainname: "example.org",
		ExtraHosts: []pod.Host{{Name: "host.docker.internal", IP: pod.HostGateway}, {Name: "cache", IP: "192.0.2.7"}, {Name: "cache", IP: "2001:db8::7"}},
		Aliases:    []pod.Alias{{Name: "jobs", Service: "worker"}, {Name: "worker", Service: "cache"}}}
	all := []pod.Container{
		{Name: "shop-worker-2", Service: "worker", Replica: 2, Cell: "default"},
		{Name: "shop-worker-1", Service: "worker", Replica: 1, Cell: "default"},
		{Name: "shop-cache-1", Service: "cache", Replica: 1, Cell: "default"},
		{Name: "shop-far-1", Service: "far", Cell: "elsewhere"},
		{Name: "shop-db-run-1", Service: "db", Cell: "default", OneOff: true, Hostname: "abc"},
		web,
	}
	got := string(Hosts(web, pod.Spec{Containers: all}, netip.MustParseAddr("10.89.255.254")))
	want := `127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.0.1	www.example.org www shop-web-1 web web-1
127.0.0.1	shop-cache-1 cache-1
127.0.0.1	abc shop-db-run-1
127.0.0.1	shop-worker-1 worker worker-1
127.0.0.1	shop-worker-2 worker-2
127.0.0.1	jobs
10.89.255.254	host.docker.internal
192.0.2.7	cache
2001:db8::7	cache
`
	if got != want {
		t.Errorf("hosts is\n%s\nwant\n%s", got, want)
	}
}

func TestHostsOfCells(t *testing.T) {
	on := func(networks ...string) (as []pod.Attachment) {
		for _, n := range networks {
			name, alias, _ := strings.Cut(n, "=")
			a := pod.Attachment{Network: name}
			if alias != "" {
				a.Aliases = []string{alias}
			}
			as = append(as, a)
		}
		return as
	}
	cells, networks, _ := plan()
	spec := pod.Spec{Cells: cells, Networks: networks, Containers: []pod.Container{
		{Name: "api", Service: "api", Replica: 1, Cell: "api", Networks: on("back=backend", "front=gate")},
		{Name: "db", Service: "db", Replica: 1, Cell: "db", Hostname: "keys", Networks: on("back=store", "vault=safe")},
		{Name: "keys", Service: "keys", Replica: 1, Cell: "keys", Networks: on("vault")},
		{Name: "lone", Service: "lone", Replica: 1, Cell: "alone", NetworkMode: pod.NetworkNone},
		{Name: "side", Service: "side", Replica: 1, Cell: pod.DefaultCell, Networks: on("front=gate")},
		{Name: "web-1", Service: "web", Replica: 1, Cell: pod.DefaultCell, Networks: on("front=www"),
			Aliases: []pod.Alias{{Name: "rest", Service: "api"}, {Name: "vault", Service: "db"}}},
		{Name: "web-2", Service: "web", Replica: 2, Cell: "web-2", Networks: on("front=www"), Aliases: []pod.Alias{{Name: "pages", Service: "web"}}},
		{Name: "web-run-1", Service: "web", Cell: pod.DefaultCell, OneOff: true, Networks: on("front=www")},
	}}
	for name, want := range map[string]string{
		"web-1": "10.210.1.2\tweb-1 web www\nfd00:1::2\tweb-1 web www\n10.210.1.3\tapi api-1 gate\nfd00:1::3\tapi api-1 gate\n10.210.1.2\tside side-1 gate\nfd00:1::2\tside side-1 gate\n10.210.1.4\tweb-2 web www\nfd00:1::4\tweb-2 web www\n10.210.1.2\tweb-run-1\nfd00:1::2\tweb-run-1\n10.210.1.3\trest\nfd00:1::3\trest\n",
		"web-2": "10.210.1.4\tweb-2 web www\nfd00:1::4\tweb-2 web www\n10.210.1.3\tapi api-1 gate\nfd00:1::3\tapi api-1 gate\n10.210.1.2\tside side-1 gate\nfd00:1::2\tside side-1 gate\n10.210.1.2\tweb-1 web www\nfd00:1::2\tweb-1 web www\n10.210.1.2\tweb-run-1\nfd00:1::2\tweb-run-1\n10.210.1.2\tpages\nfd00:1::2\tpages\n",
		"api":   "10.210.0.2\tapi api-1 backend gate\n10.210.0.3\tkeys db db-1 store\n10.210.1.2\tside side-1 gate\nfd00:1::2\tside side-1 gate\n10.210.1.2\tweb-1 web www\nfd00:1::2\tweb-1 web www\n10.210.1.4\tweb-2 web www\nfd00:1::4\tweb-2 web www\n10.210.1.2\tweb-run-1\nfd00:1::2\tweb-run-1\n",
		"db":    "10.210.0.3\tkeys db db-1 store safe\n10.210.0.2\tapi api-1 backend\n10.210.2.3\tkeys keys-1\n",
		"keys":  "10.210.2.3\tkeys keys-1\n10.210.2.2\tdb db-1 safe\n",
		"lone":  "127.0.0.1\tlone lone-1\n",
	} {
		c, _ := spec.Container(name)
		got := strings.TrimPrefix(string(Hosts(c, spec, netip.Addr{})), "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
		if got != want {
			t.Errorf("hosts of %s is\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestResolvConf(t *testing.T) {
	host := "# made by hand\nsearch old.example\ndomain corp.example\nnameserver 127.0.0.1\nnameserver 192.0.2.53\nnameserver ::1\nnameserver fe80::1%eth0\noptions ndots:2\noptions edns0\n"
	none := "# The host names no server that can be reached from the pod; set dns: in the Compose file.\n"
	tests := []struct {
		name, host string
		dns        pod.DNS
		want       string
	}{
		{"the host's", host, pod.DNS{}, "search corp.example\nnameserver 192.0.2.53\noptions ndots:2 edns0\n"},
		{"loopback alone", "nameserver 127.0.0.53\n", pod.DNS{}, none},
		{"empty", "", pod.DNS{}, none},
		{"servers", host, pod.DNS{Servers: []string{"9.9.9.9", "127.0.0.1"}}, "search corp.example\nnameserver 9.9.9.9\nnameserver 127.0.0.1\noptions ndots:2 edns0\n"},
		{"search and options", host, pod.DNS{Search: []string{"a", "b"}, Options: []string{"ndots:1"}}, "search a b\nnameserver 192.0.2.53\noptions ndots:1\n"},
		{"no search", host, pod.DNS{Search: []string{"."}}, "nameserver 192.0.2.53\noptions ndots:2 edns0\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := string(ResolvConf([]byte(test.host), test.dns, netip.Addr{}, nil)); got != test.want {
				t.Errorf("resolv.conf is\n%s\nwant\n%s", got, test.want)
			}
		})
	}
	// A cell's resolver asks the servers of the cell; who wants others has those.
	here := netip.MustParseAddr("127.0.0.11")
	for _, test := range []struct {
		servers, asks []string
		options       []string
		want          string
	}{
		{want: "127.0.0.11\noptions ndots:0"},
		{servers: []string{"9.9.9.9"}, asks: []string{"9.9.9.9"}, want: "127.0.0.11\noptions ndots:0"},
		{servers: []string{"9.9.9.9"}, want: "9.9.9.9"},
		{asks: []string{"9.9.9.9"}, want: "127.0.0.11\noptions ndots:0"},
		{options: []string{"timeout:1"}, want: "127.0.0.11\noptions timeout:1 ndots:0"},
		{options: []string{"ndots:3"}, want: "127.0.0.11\noptions ndots:3"},
	} {
		if got := string(ResolvConf(nil, pod.DNS{Servers: test.servers, Options: test.options}, here, test.asks)); got != "nameserver "+test.want+"\n" {
			t.Errorf("%v of a cell that asks %v: %s", test.servers, test.asks, got)
		}
	}
}

func TestHostResolvConf(t *testing.T) {
	root := t.TempDir()
	write := func(path, content string) {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755))
		must(t, os.WriteFile(filepath.Join(root, path), []byte(content), 0o644))
	}
	check := func(want string) {
		t.Helper()
		if got, err := HostResolvConf(root); err != nil || string(got) != want {
			t.Errorf("resolv.conf is %q, %v; want %q", got, err, want)
		}
	}
	check("")
	write("etc/resolv.conf", "nameserver 127.0.0.53\n")
	check("nameserver 127.0.0.53\n")
	write("run/systemd/resolve/resolv.conf", "nameserver 192.0.2.1\n")
	check("nameserver 192.0.2.1\n")
	write("etc/resolv.conf", "nameserver 192.0.2.2\n")
	check("nameserver 192.0.2.2\n")
}

func TestPick(t *testing.T) {
	prefixes := func(s ...string) (ps []netip.Prefix) {
		for _, p := range s {
			ps = append(ps, netip.MustParsePrefix(p))
		}
		return ps
	}
	two := prefixes("10.89.0.0/16", "172.29.0.0/16")
	first, gateway, err := pick("shop", two, nil)
	must(t, err)
	if again, _, _ := pick("shop", two, prefixes("0.0.0.0/0", "192.0.2.0/24", gateway.String()+"/32")); again != first || gateway.String() != "10.89.255.254" {
		t.Errorf("picks %s and %s, gateway %s", first, again, gateway)
	}
	if next, _, _ := pick("shop", two, prefixes(first.String()+"/32")); next != first.Next() {
		t.Errorf("picks %s after %s", next, first)
	}
	if within, _, _ := pick("shop", two, prefixes(first.String()+"/24")); !two[0].Contains(within) || netip.PrefixFrom(first, 24).Contains(within) {
		t.Errorf("picks %s where %s/24 is in use", within, first)
	}
	if other, gateway, _ := pick("shop", two, prefixes("10.0.0.0/8")); !two[1].Contains(other) || !two[1].Contains(gateway) {
		t.Errorf("picks %s by %s where 10.0.0.0/8 is in use", other, gateway)
	}
	seen := map[netip.Addr]bool{}
	var used []netip.Prefix
	for i := range 13 {
		a, g, err := pick(fmt.Sprint(i), prefixes("10.1.1.0/28"), used)
		must(t, err)
		if last := a.As4()[3]; seen[a] || a == g || last == 0 || last >= 14 {
			t.Errorf("picks %s, gateway %s", a, g)
		}
		seen[a] = true
		used = append(used, netip.PrefixFrom(a, 32))
	}
	if _, _, err := pick("x", prefixes("10.1.1.0/28"), used); err == nil {
		t.Error("picks an address of a full pool")
	}
	if _, _, err := pick("x", prefixes("fd00::/64"), nil); err == nil {
		t.Error("picks an IPv4 address of an IPv6 pool")
	}
}

func TestNames(t *testing.T) {
	a, b := linkName("demo"), linkName("demo2")
	if a == b || len(a) != 15 || a != linkName("demo") {
		t.Errorf("links %q and %q", a, b)
	}
	if mac := hardwareAddress("demo", "pod"); mac[0]&3 != 2 {
		t.Errorf("%s is not a local unicast address", mac)
	}
	if a := address6(netip.MustParseAddr("10.89.1.2")); !a.IsPrivate() {
		t.Errorf("%s is no ULA", a)
	}
}

func TestListenerKey(t *testing.T) {
	for _, l := range []*listener{
		{port: pod.Port{Container: "web", HostPort: 80, ContainerPort: 8080, Protocol: pod.TCP}},
		{port: pod.Port{Container: "dns.1", HostIP: "::1", HostPort: 32768, ContainerPort: 53, Protocol: pod.UDP}, chosen: true, inner: 65535},
	} {
		b := backend{l.port.Container, l.port.ContainerPort}
		again, err := readKey(l.key(b))
		must(t, err)
		if again.port != l.port || again.chosen != l.chosen || again.inner != l.inner || !slices.Equal(again.backends, []backend{b}) {
			t.Errorf("key %q gives %+v", l.key(b), again)
		}
	}
	for _, key := range []string{"listen/tcp", "listen/tcp//x/web/80/asked", "listen/tcp//80/web/99999/asked", "listen/tcp//80/web/80/asked/x"} {
		if _, err := readKey(key); err == nil {
			t.Errorf("key %q is read", key)
		}
	}
}

func TestFreeNear(t *testing.T) {
	listeners := []hostListener{{at: netip.MustParseAddrPort("127.0.0.1:8081")}, {at: netip.MustParseAddrPort("[::1]:8080")}}
	avoid := []pod.Port{tcp("", 8082, 0)}
	for _, test := range []struct {
		ip         string
		port, want uint16
	}{
		{"", 8080, 8083}, {"", 80, 8083}, {"", 443, 8443}, {"127.0.0.1", 80, 8080}, {"::1", 8080, 8081}, {"", 1024, 1025}, {"", 65535, 0},
	} {
		if got := freeNear(pod.Port{HostIP: test.ip, HostPort: test.port, Protocol: pod.TCP}, avoid, listeners); got != test.want {
			t.Errorf("near %s:%d %d is free, want %d", test.ip, test.port, got, test.want)
		}
	}
}

func TestUnit(t *testing.T) {
	for cgroups, want := range map[string]string{
		"0::/system.slice/nginx.service\n":                                     "nginx.service",
		"2:cpu:/\n1:name=systemd:/system.slice/ssh.service\n":                  "ssh.service",
		"0::/system.slice/system-postgresql.slice/postgresql@16.service\n":     "postgresql@16.service",
		"0::/user.slice/user-0.slice/session-1.scope\n":                        "",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service": "",
		"0::/\n": "",
	} {
		if got := unit(cgroups); got != want {
			t.Errorf("%q is of %q, want %q", cgroups, got, want)
		}
	}
}
