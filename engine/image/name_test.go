package image

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/pod"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
)

func TestCandidates(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for _, test := range []struct{ conf, ref, want, err string }{
		{`unqualified-search-registries = ["docker.io"]`, "nginx", "docker.io/library/nginx:latest", ""},
		{`unqualified-search-registries = ["docker.io"]`, "quay.io/x/y:3", "quay.io/x/y:3", ""},
		{"unqualified-search-registries = [\"quay.io\", \"docker.io\"]\nshort-name-mode = \"permissive\"", "x/y", "quay.io/x/y:latest docker.io/x/y:latest", ""},
		{"unqualified-search-registries = [\"quay.io\", \"docker.io\"]\nshort-name-mode = \"enforcing\"", "x/y", "", "could be any of quay.io/x/y:latest, docker.io/x/y:latest"},
		{"[aliases]\n\"web\" = \"quay.io/shop/web\"", "web:2", "quay.io/shop/web:2", ""},
		{"", "nginx", "", "write `unqualified-search-registries = [\"docker.io\"]` into "},
		{"", "NGINX", "", "is not valid"},
		{"not toml", "nginx", "", "cannot read registries.conf"},
	} {
		path := registries(t, test.conf)
		named, err := candidates(&types.SystemContext{}, test.ref)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) || (test.conf == "" && test.ref == "nginx" && !strings.Contains(err.Error(), path)) {
				t.Errorf("%q %s: %v", test.conf, test.ref, err)
			}
			continue
		}
		var got []string
		for _, n := range named {
			got = append(got, n.String())
		}
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%q %s: %v, %v", test.conf, test.ref, got, err)
		}
	}
}

func TestRegistriesFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.conf")
	t.Setenv("CONTAINERS_REGISTRIES_CONF", missing)
	if _, exists := registriesFile(); exists {
		t.Error("a missing file exists")
	}
	os.WriteFile(missing, nil, 0o600)
	if path, exists := registriesFile(); !exists || path != missing {
		t.Error(path, exists)
	}
}

func TestPolicyPath(t *testing.T) {
	dir := t.TempDir()
	strict := filepath.Join(dir, "strict.json")
	os.WriteFile(strict, []byte(`{"default": [{"type": "reject"}]}`), 0o600)
	t.Setenv("CONTAINERS_POLICY_JSON", strict)
	if path, err := policyPath(dir); err != nil || path != "" {
		t.Errorf("the administrator's policy is overridden: %q, %v", path, err)
	}
	os.WriteFile(strict, []byte(`{`), 0o600)
	if path, err := policyPath(dir); err == nil {
		t.Errorf("a broken policy is overridden by %q", path)
	}
}

func TestParseConfig(t *testing.T) {
	for _, test := range []struct {
		blob string
		want RunConfig
		err  string
	}{
		{blob: `{"architecture":"amd64","os":"linux","config":{"Env":["A=b","HOST*","=x","C="],"Volumes":{"/b":{},"/a":{}},
			"ExposedPorts":{"8000-8001":{},"80/tcp":{},"53/UDP":{},"9/sctp":{}},"Healthcheck":{"Test":["NONE"]},"Annotations":{"run.oci.x":"1"}}}`,
			want: RunConfig{Architecture: "amd64", OS: "linux", Env: []string{"A=b", "C="}, Volumes: []string{"/a", "/b"},
				Healthcheck: &pod.Health{Test: []string{"NONE"}},
				Listens:     []pod.Listen{{Port: 53, Protocol: "udp"}, {Port: 80, Protocol: "tcp"}, {Port: 8000, Protocol: "tcp"}, {Port: 8001, Protocol: "tcp"}}}},
		{blob: `{"config":{"Env":["A=\u0000"]}}`, err: "NUL"},
		{blob: `{"config":{"ExposedPorts":{"99999":{}}}}`, err: `exposed port "99999" is not valid`},
		{blob: `{"config":{"ExposedPorts":{"5-1":{}}}}`, err: `is not valid`},
		{blob: `{"config":{"Cmd":"sh"}}`, err: "json"},
		{blob: "{}" + strings.Repeat(" ", maxConfig), err: "more than"},
	} {
		got, err := parseConfig([]byte(test.blob))
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%.60s: %v", test.blob, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%.60s:\n%+v, %v\n%+v", test.blob, got, err, test.want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"config":{"ExposedPorts":{"80/tcp":{}}}}`))
	f.Fuzz(func(t *testing.T, blob []byte) {
		config, err := parseConfig(blob)
		for _, e := range config.Env {
			if err == nil && !strings.Contains(e, "=") {
				t.Errorf("environment entry %q", e)
			}
		}
	})
}

func TestExplain(t *testing.T) {
	registries(t, "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"m1:5000\"\n[[registry.mirror]]\nlocation = \"m2:5000/hub\"\n")
	name, _ := reference.ParseNormalizedNamed("nginx:1")
	text := "initializing source docker://nginx:1: (Mirrors also failed: [m1:5000/library/nginx:1: reading manifest: manifest unknown]\n" +
		"[m2:5000/hub/library/nginx:1: pinging: dial tcp: connect: connection refused]): docker.io/library/nginx:1: pinging: dial tcp: lookup registry-1.docker.io: no such host"
	want := "docker.io/library/nginx:1: mirror m1:5000: not found; mirror m2:5000: connection refused; docker.io: cannot resolve its host name"
	if got := explain(&types.SystemContext{}, name, errors.New(text)); got != want {
		t.Errorf("\n%s\n%s", got, want)
	}
	if got := cause("reading blob x: weird\n thing: at last"); got != "weird thing: at last" {
		t.Error(got)
	}
}
