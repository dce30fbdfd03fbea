package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// turnSeconds is how long each measurement sends, turnsOfRun how often it is done in a round.
	turnSeconds = "0.4"
	turnsOfRun  = 6
	// flowPort is the first contender's first published port, of the range that nothing is given from; each has two.
	flowPort = 18461
)

// ways are what throughput is measured on.
func ways() []string {
	return []string{"cell to cell", "published port", "localhost port", "from a neighbour", "further cell", "its neighbour"}
}

// throughput prints how fast bytes get from a container to another, and from the host and a machine beside it through a published
// port.
func throughput(dir string, o options, contenders []*contender) error {
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "flow"), "./testdata/bench/flow")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build flow: %w\n%s", err, said)
	}
	host, err := hostAddress()
	if err != nil {
		return err
	}
	defer removeNeighbour()
	if err := makeNeighbour(); err != nil {
		return err
	}
	var flows []flow
	for i, c := range contenders {
		f, err := c.startFlow(dir, host, flowPort+2*i)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		flows = append(flows, f)
	}
	rates := map[string][]float64{}
	// Many short turns: what disturbs the machine meanwhile disturbs all alike.
	for range o.runs * turnsOfRun {
		for _, f := range flows {
			for i, argv := range f.ways {
				rate, err := f.rate(append(argv, turnSeconds))
				if err != nil {
					return fmt.Errorf("%s: %w", f.name, err)
				}
				rates[f.name+ways()[i]] = append(rates[f.name+ways()[i]], rate)
			}
		}
	}
	fmt.Printf("\nthroughput in MB/s, one TCP connection: median, and middle half, of %d turns (bar: docker's bridge)\n", o.runs*turnsOfRun)
	for _, way := range ways() {
		fmt.Printf("  %-16s", way)
		for _, f := range flows {
			all := slices.Sorted(slices.Values(rates[f.name+way]))
			fmt.Printf("  %s %.0f (%.0f-%.0f)", f.name, all[len(all)/2], all[len(all)/4], all[len(all)*3/4])
		}
		fmt.Println()
	}
	for _, f := range flows {
		if _, err := f.compose(f.file, "down", "-t", "0"); err != nil {
			return err
		}
	}
	return furtherCells(dir, o, contenders)
}

// flow is a contender's project whose throughput is measured: the commands that send, but for how long.
type flow struct {
	*contender
	file string
	ways [][]string
}

// startFlow brings a project of three containers up: a server where a pod has one that publishes a port, in its first cell, and
// one in a cell of its own, which others reach through the first.
func (c *contender) startFlow(dir, host string, port int) (flow, error) {
	f, program := flow{contender: c, file: filepath.Join(dir, fmt.Sprintf("flows%d", port), "compose.yaml")}, filepath.Join(dir, "flow")
	image := "    image: docker.io/library/busybox:latest\n    volumes: [\"" + program + ":/flow:ro\"]\n"
	server := func(port int) string {
		return image + fmt.Sprintf("    command: [/flow, serve, \":5001\"]\n    ports: [\"%d:5001\"]\n", port)
	}
	own := "    x-pcompose: {network: own}\n"
	err := writeFile(f.file, "services:\n  server:\n"+server(port)+"  further:\n"+server(port+1)+own+"  client:\n"+image+own+"    command: sleep infinity\n")
	if err != nil {
		return f, err
	}
	if _, err := c.compose(f.file, "up", "-d"); err != nil {
		return f, err
	}
	inside := append(slices.Clone(c.argv), "-f", f.file, "-p", project(f.file), "exec", "-T", "client", "/flow", "send", "further:5001")
	outside := func(host string, port int) []string {
		return []string{program, "send", net.JoinHostPort(host, strconv.Itoa(port))}
	}
	beside := func(port int) []string {
		return append([]string{"ip", "netns", "exec", neighbour}, outside(neighbourHost, port)...)
	}
	f.ways = [][]string{slices.Clip(inside), outside(host, port), outside("127.0.0.1", port), beside(port), outside(host, port+1), beside(port + 1)}
	return f, c.until(func() error { _, err := c.rate(append(f.ways[0], "0")); return err })
}

// rate runs a command that prints MB/s.
func (c *contender) rate(argv []string) (float64, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = c.environ()
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, said.Bytes())
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// neighbour is a network namespace that sees this machine as another machine would, at neighbourHost.
const (
	neighbour     = "pct-bench"
	neighbourHost = "198.18.7.1"
)

// makeNeighbour makes it, in place of one that an earlier run has left.
func makeNeighbour() error {
	removeNeighbour()
	for _, args := range []string{
		"netns add " + neighbour, "link add pctbench0 type veth peer name pctbench1 netns " + neighbour,
		"addr add " + neighbourHost + "/24 dev pctbench0", "link set pctbench0 up",
		"-n " + neighbour + " addr add 198.18.7.2/24 dev pctbench1", "-n " + neighbour + " link set pctbench1 up",
	} {
		if said, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot make a neighbour: ip %s: %w\n%s", args, err, said)
		}
	}
	return nil
}

// removeNeighbour takes it away, where there is one; its links go with it, later than it.
func removeNeighbour() {
	_ = exec.Command("ip", "link", "del", "pctbench0").Run()
	_ = exec.Command("ip", "netns", "del", neighbour).Run()
}

// hostAddress is the address by which this machine reaches others: no packet is sent.
func hostAddress() (string, error) {
	c, err := net.Dial("udp4", "192.0.2.1:9")
	if err != nil {
		return "", errors.New("this machine has no address but its loopback, by which published ports are reached")
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP.String(), nil
}

// furtherCells prints what a service costs more that has a cell of its own.
func furtherCells(dir string, o options, contenders []*contender) error {
	const services = 20
	for _, c := range contenders {
		if c.engine != nil {
			continue
		}
		var took [2][]time.Duration
		for range o.runs {
			for i, network := range []string{"shared", "own"} {
				file, err := writeNetworkProject(filepath.Join(dir, "cells"+network), services, network)
				if err != nil {
					return err
				}
				up, err := c.compose(file, "up", "-d")
				if err != nil {
					return err
				}
				took[i] = append(took[i], up)
				if _, err := c.compose(file, "down", "-t", "0"); err != nil {
					return err
				}
			}
		}
		slices.Sort(took[0])
		slices.Sort(took[1])
		each := (took[1][len(took[1])/2] - took[0][len(took[0])/2]) / (services - 1)
		fmt.Printf("\neach further cell of up -d: %.1f ms (bar 5 ms): %s\n", milliseconds(each), verdict(each <= 5*time.Millisecond))
	}
	return nil
}

// writeNetworkProject writes a project whose services have one network, shared or own, and returns its file.
func writeNetworkProject(dir string, services int, network string) (string, error) {
	if err := writeProject(dir, services); err != nil {
		return "", err
	}
	content, err := os.ReadFile(projectFile(dir, services))
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "compose.yaml")
	return file, writeFile(file, "x-pcompose: {network: "+network+"}\n"+string(content))
}
