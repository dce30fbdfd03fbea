// Command bench measures pcompose beside docker compose and podman-compose, where they are installed, and beside the
// floor: the same number of containers started by the bare OCI runtime, in parallel, on prepared bundles and mounts.
//
//	lab run -- bench -pcompose bin/pcompose [-runs 5] [-services 1,5,20,50] [-only pcompose,docker,podman] [-network] [-builds] [-flagship examples/strapi]
//
// All run in turn on the same machine, in every round, so that what disturbs one disturbs all; medians are printed.
// Peers that live elsewhere, in a container or another root, are reached by the command in BENCH_ENTER, which must see
// the -dir folder at its path; its own time is measured and taken off.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.pcompose, "pcompose", "bin/pcompose", "the `binary` to measure")
	flag.StringVar(&o.dir, "dir", "bin/bench-work", "a `folder` for compose files, stores and bundles; emptied first")
	flag.IntVar(&o.runs, "runs", 5, "`rounds`, of which the median counts")
	services := flag.String("services", "1,5,20,50", "numbers of services")
	only := flag.String("only", "pcompose,docker,podman", "who takes part")
	flag.BoolVar(&o.network, "network", false, "measure nothing but throughput and the cost of cells")
	flag.BoolVar(&o.builds, "builds", false, "measure nothing but builds and pulls")
	flag.BoolVar(&o.pulls, "pulls", false, "measure nothing but pulls")
	flag.StringVar(&o.flagship, "flagship", "", "a `folder` to build too, which takes minutes")
	flag.Parse()
	for _, n := range strings.Split(*services, ",") {
		count, err := strconv.Atoi(n)
		if err != nil {
			fail(err)
		}
		o.services = append(o.services, count)
	}
	o.only = strings.Split(*only, ",")
	if err := bench(o); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

type options struct {
	pcompose, dir string
	runs          int
	services      []int
	only          []string
	network       bool
	builds        bool
	pulls         bool
	flagship      string
}

// step is a command whose time is measured, in the order in which a round runs them.
type step struct {
	name string
	args []string
}

func steps() []step {
	return []step{
		{"up -d", []string{"up", "-d"}},
		{"up -d, nothing to do", []string{"up", "-d"}},
		{"ps", []string{"ps"}},
		{"config", []string{"config"}},
		{"logs", []string{"logs"}},
		{"down -t 0", []string{"down", "-t", "0"}},
	}
}

func bench(o options) error {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeImage(dir); err != nil {
		return err
	}
	contenders, err := findContenders(dir, o)
	if err != nil {
		return err
	}
	defer func() {
		for _, c := range contenders {
			for _, n := range o.services {
				// After an error something may still run; after success this has nothing to do.
				_, _ = c.compose(projectFile(dir, n), "down", "-t", "0")
			}
			c.close()
		}
	}()
	switch {
	case o.network:
		return throughput(dir, o, contenders)
	case o.builds:
		return builds(dir, o, contenders)
	case o.pulls:
		return pulls(dir, o, contenders)
	}
	floor, err := newFloor(dir, slices.Max(o.services))
	if err != nil {
		return err
	}
	defer floor.close()

	times, err := measure(dir, o, contenders, floor)
	if err != nil {
		return err
	}
	printTable(os.Stdout, o, contenders, times)
	if err := extras(dir, o, contenders); err != nil {
		return err
	}
	if err := builds(dir, o, contenders); err != nil {
		return err
	}
	return throughput(dir, o, contenders)
}

// measure runs everybody in turn, o.runs times for each number of services.
func measure(dir string, o options, contenders []*contender, floor *floor) (results, error) {
	times := results{}
	for _, n := range o.services {
		if err := writeProject(dir, n); err != nil {
			return nil, err
		}
		for round := range o.runs {
			fmt.Fprintf(os.Stderr, "bench: %d services, round %d of %d\n", n, round+1, o.runs)
			took, err := floor.run(n)
			if err != nil {
				return nil, err
			}
			times.add("floor", n, "up -d", took)
			for _, c := range contenders {
				if err := measureRound(c, dir, n, times); err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
			}
		}
	}
	return times, nil
}

// measureRound runs all steps once. A contender that does not know a command has no figure for it.
func measureRound(c *contender, dir string, n int, times results) error {
	for _, s := range steps() {
		took, err := c.compose(projectFile(dir, n), s.args...)
		if err != nil {
			return err
		}
		times.add(c.name, n, s.name, took-c.overhead)
	}
	return nil
}

// extras are the figures that are no times of commands: memory at the most services, watches, and the throughput of logs.
func extras(dir string, o options, contenders []*contender) error {
	most := slices.Max(o.services)
	fmt.Printf("\nmemory of the helpers of %d idle services (Pss_Anon; bar 8 MB)\n", most)
	for _, c := range contenders {
		mb, err := c.helperMemory(dir, most)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("  %-16s %8.1f MB\n", c.name, mb)
	}
	fmt.Printf("\nwatch: from a save to the file in the container, median of %d (bar 100 ms); %d files saved at once (bar 2 s)\n", watchSaves, watchFiles)
	for _, c := range contenders {
		w, ok, err := c.watches(dir)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", c.name, err)
		case ok:
			fmt.Printf("  %-16s %8.1f ms, %8.0f ms\n", c.name, float64(w.one.Microseconds())/1000, float64(w.many.Microseconds())/1000)
		}
	}
	fmt.Printf("\nlogs of 100-byte lines, %d MB at once (bar: twice podman, nothing lost)\n", logMegabytes)
	for _, c := range contenders {
		rate, kept, err := c.logThroughput(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("  %-16s %8.0f MB/s, %d of %d lines kept\n", c.name, rate, kept, logLines)
	}
	return nil
}

// results are the times of contender, number of services and step.
type results map[string][]time.Duration

func resultKey(who string, n int, step string) string { return fmt.Sprintf("%s/%d/%s", who, n, step) }

func (r results) add(who string, n int, step string, took time.Duration) {
	key := resultKey(who, n, step)
	r[key] = append(r[key], took)
}

// median is 0 where there is no figure.
func (r results) median(who string, n int, step string) time.Duration {
	all := slices.Sorted(slices.Values(r[resultKey(who, n, step)]))
	if len(all) == 0 {
		return 0
	}
	return all[len(all)/2]
}
