package cli

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/pod"
)

type listenersOptions struct {
	services []string
	format   string
}

func newListeners(env *Env, run action[listenersOptions]) *cobra.Command {
	opt := &listenersOptions{}
	cmd := command(env, "listeners [OPTIONS] [SERVICE...]", "Show which service listens where, against what the file declares", &opt.services, bind(env, opt, run))
	cmd.Flags().StringVar(&opt.format, "format", "table", "Format: table, json (one object a line), or a Go template")
	return cmd
}

func runListeners(ctx context.Context, env *Env, opt *listenersOptions) error {
	e, t, observed, err := env.look(ctx, opt.services)
	if err != nil {
		return err
	}
	defer e.Close()
	if observed.Spec != nil { // with the images, which declare too
		if observed, err = e.Observe(ctx, t.name, observed.Spec); err != nil {
			return err
		}
	}
	listeners, err := engine.Listeners(e.Project(t.name), observed)
	if err != nil {
		return err
	}
	check := portCheck{observed, listeners}
	var rows []ui.Listener
	for _, c := range chosen(observed, opt.services) {
		rows = append(rows, check.rows(c)...)
	}
	return ui.ShowListeners(env.ui, opt.format, rows)
}

// portCheck holds what containers listen on against what is declared of them.
type portCheck struct {
	observed  pod.Status
	listeners []pod.Listener
}

// rows are what a container listens on, what it declares and does not listen on, and what it could not.
func (p portCheck) rows(c pod.ContainerStatus) []ui.Listener {
	declared, by := c.Listens, "declared"
	if image := p.observed.Images[c.Image].Listens; len(declared) == 0 && len(image) > 0 {
		declared, by = image, "declared by the image"
	}
	if c.Run.PID == 0 {
		declared = nil
	}
	var rows []ui.Listener
	row := func(l pod.Listener, notes ...string) {
		r := ui.Listener{Name: c.Name, Service: c.Service, Cell: cmp.Or(c.Cell, pod.DefaultCell), Protocol: l.Protocol, Address: l.Address,
			Port: l.Port, PID: l.PID, Process: l.Process, Published: p.published(c.Name, l)}
		if len(r.Published) > 0 {
			notes = append(notes, "published on "+strings.Join(r.Published, ", "))
		}
		r.Status = strings.Join(notes, "; ")
		rows = append(rows, r)
	}
	for _, l := range p.listeners {
		if l.Container != c.Name {
			continue
		}
		notes := []string{"not declared"}
		if slices.ContainsFunc(declared, l.Is) {
			notes[0] = by
		}
		if l.Loopback() {
			notes = append(notes, "only on loopback, so none outside of its cell can reach it")
		}
		row(l, notes...)
	}
	for _, d := range declared {
		on := func(l pod.Listener) bool { return l.Container == c.Name && l.Is(d) }
		if !slices.ContainsFunc(p.listeners, on) {
			row(pod.Listener{Port: d.Port, Protocol: d.Protocol}, by+", and "+p.instead(c, d))
		}
	}
	for _, d := range p.observed.Denied {
		if d.Container == c.Name {
			row(pod.Listener{Port: d.Port, Protocol: d.Protocol}, fmt.Sprintf("it could not listen: %s has the port, in the same network", d.By))
		}
	}
	return rows
}

// instead is who listens on a port that a container declares and does not listen on.
func (p portCheck) instead(c pod.ContainerStatus, d pod.Listen) string {
	for _, l := range p.listeners {
		if o, _ := p.observed.Container(l.Container); l.Is(d) && o.Cell == c.Cell {
			return fmt.Sprintf("%s has it (%s, pid %d)", o.Name, l.Process, l.PID)
		}
	}
	return "nobody listens"
}

// published are the host ports that lead to a listener.
func (p portCheck) published(container string, l pod.Listener) []string {
	var all []string
	for _, o := range p.observed.Ports {
		if o.Container == container && o.ContainerPort == l.Port && o.Protocol == l.Protocol {
			all = append(all, net.JoinHostPort(cmp.Or(o.HostIP, "0.0.0.0"), strconv.Itoa(int(o.HostPort))))
		}
	}
	return all
}
