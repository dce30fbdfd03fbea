package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// bar is what pcompose has to reach: at most factor times what who takes.
type bar struct {
	step   string
	n      []int
	who    string
	factor float64
}

// bars are the project's targets. A bar without numbers holds for every number of services.
func bars() []bar {
	return []bar{
		{"up -d", []int{5}, "docker compose", 1. / 4},
		{"up -d", []int{5}, "podman-compose", 1. / 10},
		{"up -d", []int{5}, "floor", 4},
		{"up -d", []int{20, 50}, "docker compose", 1. / 5},
		{"up -d, nothing to do", []int{5}, "docker compose", 0.7},
		{"down -t 0", []int{5, 50}, "docker compose", 1. / 4},
		{"ps", nil, "docker compose", 0.7},
		{"config", nil, "docker compose", 0.7},
		{"logs", nil, "docker compose", 0.7},
	}
}

// furtherService is the bar for the cost of one more service, between the two largest numbers.
const furtherService = 15 * time.Millisecond

func printTable(out io.Writer, o options, contenders []*contender, times results) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "services\tcommand\tfloor")
	for _, c := range contenders {
		fmt.Fprintf(w, "\t%s", c.name)
	}
	fmt.Fprintln(w, "\tbars")
	for _, n := range o.services {
		for _, s := range steps() {
			ours := times.median("pcompose", n, s.name)
			fmt.Fprintf(w, "%d\t%s\t%s", n, s.name, cell(times.median("floor", n, s.name), ours))
			for _, c := range contenders {
				fmt.Fprintf(w, "\t%s", cell(times.median(c.name, n, s.name), ours))
			}
			fmt.Fprintf(w, "\t%s\n", judge(n, s.name, ours, times))
		}
	}
	w.Flush()
	if len(o.services) > 1 {
		m, n := o.services[len(o.services)-2], o.services[len(o.services)-1]
		each := (times.median("pcompose", n, "up -d") - times.median("pcompose", m, "up -d")) / time.Duration(n-m)
		fmt.Fprintf(out, "\neach further service of up -d: %.1f ms (bar %d ms): %s\n",
			milliseconds(each), furtherService.Milliseconds(), verdict(each <= furtherService))
	}
	fmt.Fprintln(out, "Milliseconds, medians; in brackets what part of it pcompose takes.")
}

// cell is a time, and pcompose's as a part of it.
func cell(took, ours time.Duration) string {
	switch {
	case took == 0:
		return "-"
	case took == ours || ours == 0:
		return fmt.Sprintf("%.0f", milliseconds(took))
	}
	return fmt.Sprintf("%.0f (%.2f)", milliseconds(took), float64(ours)/float64(took))
}

// judge says of each bar on a step whether it was reached.
func judge(n int, step string, ours time.Duration, times results) string {
	var said []string
	for _, b := range bars() {
		theirs := times.median(b.who, n, step)
		if b.step != step || !holdsFor(b.n, n) || theirs == 0 || ours == 0 {
			continue
		}
		reached := float64(ours) <= b.factor*float64(theirs)
		said = append(said, fmt.Sprintf("≤ %.2g × %s: %s", b.factor, b.who, verdict(reached)))
	}
	return strings.Join(said, "; ")
}

func holdsFor(numbers []int, n int) bool {
	if numbers == nil {
		return true
	}
	for _, m := range numbers {
		if m == n {
			return true
		}
	}
	return false
}

func verdict(reached bool) string {
	if reached {
		return "reached"
	}
	return "MISSED"
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
