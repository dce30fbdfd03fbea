package cli

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// pluginPrefix begins the name of every plugin of the docker CLI; the rest is the command it brings.
const pluginPrefix = "docker-"

// pluginSocket names a variable with the address of a socket that the docker CLI keeps open as long as the user wants the
// plugin to run: it closes it where a signal did not reach us.
const pluginSocket = "DOCKER_CLI_PLUGIN_SOCKET"

// program is what a command line calls: its name as the user typed it, and the arguments behind.
//
// The docker CLI calls docker-compose, a plugin, as `docker-compose compose ARGS`, with its own global flags in front, and
// for completion as `docker-compose __complete compose ARGS`. Called otherwise, as podman compose calls its provider,
// docker-compose is a program like any other, and all of its arguments are ours.
func program(argv []string) (name string, args []string) {
	name = "pcompose"
	if len(argv) == 0 {
		return name, nil
	}
	args = argv[1:]
	plugin, ok := strings.CutPrefix(filepath.Base(argv[0]), pluginPrefix)
	if !ok {
		return name, args
	}
	at := dockerFlags(args)
	if len(args) > 1 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		at = 1
	}
	if at >= len(args) || args[at] != plugin {
		return name, args
	}
	if at == 1 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return "docker " + plugin, slices.Concat(args[:1], args[2:])
	}
	return "docker " + plugin, args[at+1:]
}

// dockerFlags counts the arguments that are global flags of the docker CLI: what they say is about docker's daemon.
func dockerFlags(args []string) int {
	valued := []string{"--config", "--context", "-c", "--host", "-H", "--log-level", "-l", "--tlscacert", "--tlscert", "--tlskey"}
	switches := []string{"--debug", "-D", "--tls", "--tlsverify"}
	for i := 0; i < len(args); i++ {
		name, _, inline := strings.Cut(args[i], "=")
		switch {
		case slices.Contains(valued, name):
			if !inline {
				i++
			}
		case !slices.Contains(switches, name):
			return i
		}
	}
	return len(args)
}

// newPluginMetadata is the command by which the docker CLI asks a program in cli-plugins who it is.
func newPluginMetadata(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "docker-cli-plugin-metadata", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return env.ui.JSON(struct {
				SchemaVersion, Vendor, Version, ShortDescription, URL string
			}{"0.1.0", "pcompose", env.build.version(), "Run Compose projects as pods", "https://github.com/pcompose/pcompose"})
		},
	}
}

// pluginSignals passes signals on, and adds an interrupt when the docker CLI lets go of its plugin. Signals that reach
// both, as those of a terminal, come from the kernel.
func pluginSignals(ctx context.Context, env *Env, signals <-chan os.Signal) <-chan os.Signal {
	address := env.getenv(pluginSocket)
	if address == "" {
		return signals
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
	if err != nil {
		return signals // of a docker CLI that has gone: its variable was inherited
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		defer conn.Close()
		// Nothing is ever sent: what Read returns is the end.
		_, _ = conn.Read(make([]byte, 1))
	}()
	all := make(chan os.Signal, 2)
	go func() {
		for {
			select {
			case s := <-signals:
				all <- s
			case <-closed:
				all <- syscall.SIGINT
				closed = nil
			case <-ctx.Done():
				return
			}
		}
	}()
	return all
}
