package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// builtStages are those of the Dockerfile that is built.
const builtStages = 10

// buildBars are the project's targets for builds; podman is podman build, which podman-compose calls.
func buildBars() []bar {
	return []bar{
		{step: "cold", who: "podman-compose", factor: 1},
		{step: "one file changed", who: "podman-compose", factor: 1},
		{step: "nothing changed", who: "docker compose", factor: .5},
		{step: "pull of four images", who: "docker compose", factor: 1},
		{step: "pull of four images", who: "podman-compose", factor: 1},
	}
}

// builds measures builds of a Dockerfile, and of another one where that is named, and pulls.
func builds(dir string, o options, contenders []*contender) error {
	folder := filepath.Join(dir, "build")
	if err := writeStages(folder); err != nil {
		return err
	}
	times := results{}
	for round := range o.runs {
		fmt.Fprintf(os.Stderr, "bench: builds, round %d of %d\n", round+1, o.runs)
		for _, c := range contenders {
			if err := c.measureBuild(folder, times, builtStages); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	fmt.Printf("\nbuild of %d stages\n", builtStages)
	printBuilds(os.Stdout, contenders, times, builtStages, []string{"cold", "one file changed", "nothing changed"})
	if err := pulls(dir, o, contenders); err != nil {
		return err
	}
	if o.flagship == "" {
		return nil
	}
	return flagship(dir, o, contenders)
}

// writeStages writes a Dockerfile of stages that are made of one and end in one, and a context.
func writeStages(folder string) error {
	var b strings.Builder
	b.WriteString("FROM docker.io/library/busybox:latest AS base\nRUN mkdir -p /out && echo base > /out/base\n")
	for i := 1; i < builtStages-1; i++ {
		fmt.Fprintf(&b, "\nFROM base AS s%d\nARG WORD=x\nCOPY src/f%d /in\nRUN cat /in > /out/f && dd if=/dev/zero of=/out/big bs=1M count=4 2> /dev/null\n", i, i)
		if err := writeFile(filepath.Join(folder, "src", fmt.Sprintf("f%d", i)), strings.Repeat("text\n", 100)); err != nil {
			return err
		}
	}
	b.WriteString("\nFROM docker.io/library/busybox:latest\n")
	for i := 1; i < builtStages-1; i++ {
		fmt.Fprintf(&b, "COPY --from=s%d /out /all%d\n", i, i)
	}
	b.WriteString("COPY src /src\nENV A=b\nCMD [\"ls\", \"/all1\"]\n")
	if err := writeFile(filepath.Join(folder, "Dockerfile"), b.String()); err != nil {
		return err
	}
	return writeFile(filepath.Join(folder, "compose.yaml"), "services:\n  built:\n    image: pct-bench-built\n    build: .\n")
}

// measureBuild builds everything, what follows from one changed file, and nothing.
func (c *contender) measureBuild(folder string, times results, n int) error {
	for _, step := range []struct {
		name string
		args []string
	}{{"cold", []string{"--no-cache"}}, {"one file changed", nil}, {"nothing changed", nil}} {
		if step.name == "one file changed" {
			changed := filepath.Join(folder, "src", fmt.Sprintf("f%d", builtStages-2))
			if err := os.WriteFile(changed, []byte(time.Now().String()), 0o644); err != nil {
				return err
			}
		}
		took, err := c.build(folder, step.args...)
		if err != nil {
			return err
		}
		times.add(c.name, n, step.name, took-c.overhead)
	}
	return nil
}

// build builds the project of a folder; podman by itself, which is what the bar is of.
func (c *contender) build(folder string, args ...string) (time.Duration, error) {
	if c.name == "podman-compose" {
		return c.run(append(append(slices.Clone(c.engine), "build", "--network", "host", "-t", "pct-bench-built"), append(args, folder)...)...)
	}
	return c.compose(filepath.Join(folder, "compose.yaml"), append([]string{"build"}, args...)...)
}

// flagshipBase is what the Dockerfile of the flagship begins with.
const flagshipBase = "node:20-slim"

// bring puts an image of the lab into the contender's store, by its name on Docker Hub.
func (c *contender) bring(image string) error {
	from, to := os.Getenv("PCT_REGISTRY")+"/library/"+image, "docker.io/library/"+image
	engine, pull := c.engine, []string{"pull"}
	switch {
	case engine == nil:
		engine = append(slices.Clone(c.argv), "image")
	case c.name == "podman-compose":
		pull = append(pull, "--tls-verify=false")
	}
	_, err := c.run(append(append(slices.Clone(engine), pull...), from)...)
	if err == nil {
		_, err = c.run(append(slices.Clone(engine), "tag", from, to)...)
	}
	return err
}

// flagship builds the project of a folder once, without and with what came of it; what it fetches must be within reach.
func flagship(dir string, o options, contenders []*contender) error {
	folder := filepath.Join(dir, "flagship")
	if err := os.CopyFS(folder, os.DirFS(o.flagship)); err != nil {
		return err
	}
	// Everybody's RUN on the host's network: what is measured is not the way of packages.
	if err := writeFile(filepath.Join(folder, "compose.yaml"), "services:\n  built:\n    image: pct-bench-built\n"+
		"    build: {context: ., network: host}\n"); err != nil {
		return err
	}
	times := results{}
	for _, c := range contenders {
		if err := c.bring(flagshipBase); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		for _, step := range []string{"cold", "nothing changed"} {
			args := []string{"--build-arg", "NODE_VERSION=20"}
			if step == "cold" {
				args = append(args, "--no-cache")
			}
			took, err := c.build(folder, args...)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			times.add(c.name, 1, step, took-c.overhead)
		}
	}
	fmt.Printf("\nbuild of %s\n", o.flagship)
	printBuilds(os.Stdout, contenders, times, 1, []string{"cold", "nothing changed"})
	return nil
}

// printBuilds prints a line for each step.
func printBuilds(out io.Writer, contenders []*contender, times results, n int, steps []string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, step := range steps {
		ours := times.median("pcompose", n, step)
		fmt.Fprintf(w, "  %s", step)
		for _, c := range contenders {
			fmt.Fprintf(w, "\t%s %s", c.name, cell(times.median(c.name, n, step), ours))
		}
		var said []string
		for _, b := range buildBars() {
			if theirs := times.median(b.who, n, step); b.step == step && theirs > 0 && ours > 0 {
				said = append(said, fmt.Sprintf("≤ %.2g × %s: %s", b.factor, b.who, verdict(float64(ours) <= b.factor*float64(theirs))))
			}
		}
		fmt.Fprintf(w, "\t%s\n", strings.Join(said, "; "))
	}
	w.Flush()
}
