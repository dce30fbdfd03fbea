// Command lab is a registry of real images for tests on machines that reach no registry.
//
// It makes images of databases, languages, nginx and others (recipe/) from Debian's packages and serves them on loopback.
// They are stand-ins under the names of Docker Hub: layout, environment, ports, volumes and signals are those of the
// official images, the programs are Debian's.
//
//	lab images               make all images that the cache does not have, and print their names
//	lab serve ADDR           serve them on ADDR until interrupted; one that the cache does not have is made when it is asked for
//	lab conf ADDR            print the registries.conf that sends docker.io to ADDR
//	lab run -- CMD [ARG...]  serve on a free port and run CMD with CONTAINERS_REGISTRIES_CONF, PCT_REGISTRY and PCT_CACHE set
//
// Images are kept outside the checkout, each by the hash of its recipe: $PCOMPOSE_LAB_CACHE, else
// $XDG_CACHE_HOME/pcompose-lab, else /var/cache/pcompose-lab.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch {
	case command == "images" && len(args) == 1:
		return makeAll()
	case command == "serve" && len(args) == 2:
		listener, err := net.Listen("tcp", args[1])
		if err != nil {
			return err
		}
		l, err := newLab(cacheDir())
		if err != nil {
			return err
		}
		return errors.Join(http.Serve(listener, newServer(l)), l.close())
	case command == "conf" && len(args) == 2:
		fmt.Print(registriesConf(args[1]))
		return nil
	case command == "run" && len(args) > 2 && args[1] == "--":
		return runUnder(args[2:])
	}
	return errors.New("usage: lab images | serve ADDR | conf ADDR | run -- CMD [ARG...]")
}

func cacheDir() string {
	if dir := os.Getenv("PCOMPOSE_LAB_CACHE"); dir != "" {
		return dir
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "pcompose-lab")
	}
	return "/var/cache/pcompose-lab"
}

func makeAll() error {
	l, err := newLab(cacheDir())
	if err != nil {
		return err
	}
	found, err := l.all()
	if err := errors.Join(err, l.close()); err != nil {
		return err
	}
	for _, image := range found {
		fmt.Println(strings.Join(image.Names, " "))
	}
	return nil
}

// runUnder runs argv while the registry is served. Its exit code becomes the lab's.
func runUnder(argv []string) (err error) {
	l, err := newLab(cacheDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- http.Serve(listener, newServer(l)) }()
	conf, err := os.CreateTemp("", "pct-registries-*.conf")
	if err != nil {
		return err
	}
	defer os.Remove(conf.Name())
	if _, err := conf.WriteString(registriesConf(listener.Addr().String())); err != nil {
		return err
	}
	if err := conf.Close(); err != nil {
		return err
	}

	// Signals from a terminal reach the command too, which decides; we stay to clean up.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "CONTAINERS_REGISTRIES_CONF="+conf.Name(), "PCT_REGISTRY="+listener.Addr().String(), "PCT_CACHE="+cacheDir())
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return err
		case err := <-served:
			return errors.Join(fmt.Errorf("cannot serve images: %w", err), cmd.Process.Kill())
		case s := <-signals:
			if s == syscall.SIGTERM {
				if err := cmd.Process.Signal(s); err != nil {
					return err
				}
			}
		}
	}
}

// registriesConf makes every docker.io name, short names too, and those of ghcr.io resolve through addr first. A tag that is not
// there falls through to Docker Hub, as with any mirror.
func registriesConf(addr string) string {
	conf := `unqualified-search-registries = ["docker.io"]
`
	for _, host := range []string{"docker.io", "ghcr.io"} {
		conf += fmt.Sprintf(`
[[registry]]
prefix = %q
location = %q

[[registry.mirror]]
location = %q
insecure = true
`, host, host, addr)
	}
	return conf
}
