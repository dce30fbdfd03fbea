package cli

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProgram(t *testing.T) {
	for argv, want := range map[string]string{
		"pcompose up -d":                     "pcompose: up -d",
		"/usr/bin/pcompose":                  "pcompose: ",
		"docker-pcompose pcompose up -d":     "docker pcompose: up -d",
		"/x/docker-compose compose -f x ps":  "docker compose: -f x ps",
		"docker-compose compose":             "docker compose: ",
		"docker-compose compose compose":     "docker compose: compose",
		"docker-compose --debug compose ps":  "docker compose: ps",
		"docker-compose -c default compose":  "docker compose: ",
		"docker-compose --context=x compose": "docker compose: ",
		"docker-compose -H tcp://x compose":  "docker compose: ",
		// podman compose calls its provider like this.
		"docker-compose up -d":                      "pcompose: up -d",
		"docker-compose -f compose ps":              "pcompose: -f compose ps",
		"docker-compose docker-cli-plugin-metadata": "pcompose: docker-cli-plugin-metadata",
		"docker-compose __complete compose up ":     "docker compose: __complete up",
		"docker-compose __complete up ":             "pcompose: __complete up",
	} {
		name, args := program(strings.Fields(argv))
		if got := name + ": " + strings.Join(args, " "); got != want {
			t.Errorf("%s: got %q, want %q", argv, got, want)
		}
	}
}

func TestPluginSocketThatClosesIsAnInterrupt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	env, _ := testEnv(map[string]string{pluginSocket: path})
	sent := make(chan os.Signal, 1)
	signals := pluginSignals(t.Context(), env, sent)
	conn, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	next := func() os.Signal {
		select {
		case s := <-signals:
			return s
		case <-time.After(10 * time.Second):
			t.Fatal("no signal came")
			return nil
		}
	}
	sent <- syscall.SIGTERM
	if got := next(); got != syscall.SIGTERM {
		t.Errorf("got %v", got)
	}
	conn.Close()
	if got := next(); got != syscall.SIGINT {
		t.Errorf("got %v", got)
	}
	env.vars[pluginSocket] = path + "-gone"
	if pluginSignals(t.Context(), env, sent) == nil {
		t.Error("a socket that is gone takes the signals along")
	}
}
