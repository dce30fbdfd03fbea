package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
)

func newNetwork(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "network", Short: "Manage networks that projects share", Args: cobra.ArbitraryArgs, RunE: needsCommand}
	cmd.AddCommand(newNetworkLs(env, runNetworkLs), newNetworkInspect(env, runNetworkInspect), newNetworkCreate(env, runNetworkCreate),
		newNetworkRm(env, runNetworkRm))
	return cmd
}

type networkLsOptions struct {
	quiet  bool
	format string
}

func newNetworkLs(env *Env, run action[networkLsOptions]) *cobra.Command {
	opt := &networkLsOptions{}
	cmd := command(env, "ls", "List networks: those made here, and those of projects", nil, bind(env, opt, run))
	cmd.Aliases = []string{"list"}
	cmd.Flags().BoolVarP(&opt.quiet, "quiet", "q", false, "Show names only")
	cmd.Flags().StringVar(&opt.format, "format", "table", "Format: table, json (one object a line), or a Go template")
	return cmd
}

func runNetworkLs(_ context.Context, env *Env, opt *networkLsOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		all, err := engine.Networks(e)
		rows, views := make([][]string, len(all)), make([]networkView, len(all))
		for i, n := range all {
			views[i] = viewNetwork(n)
			switch {
			case opt.quiet:
				env.ui.Line("%s", n.Name)
			case opt.format == "json":
				err = errors.Join(err, env.ui.JSONLine(views[i]))
			}
			var subnets []string
			for _, p := range n.Pools {
				subnets = append(subnets, p.Subnet)
			}
			rows[i] = []string{n.Name, views[i].Driver, n.Owner, strings.Join(subnets, ", ")}
		}
		switch {
		case opt.quiet || opt.format == "json":
			return err
		case opt.format != "table":
			return errors.Join(err, ui.Template(env.ui, opt.format, map[string]string{"Name": "NAME", "Driver": "DRIVER", "Project": "PROJECT"}, views))
		}
		return errors.Join(err, env.ui.Table(ui.Narrow, []string{"NAME", "DRIVER", "PROJECT", "SUBNETS"}, rows))
	})
}

func newNetworkInspect(env *Env, run action[inspectOptions]) *cobra.Command {
	opt := &inspectOptions{}
	cmd := command(env, "inspect NETWORK...", "Show all there is to know of networks, and who is on them", &opt.args, bind(env, opt, run))
	cmd.Flags().StringVarP(&opt.format, "format", "f", "json", "Format: json, or a Go template")
	cmd.Args = takes("NETWORK...")
	return cmd
}

func runNetworkInspect(_ context.Context, env *Env, opt *inspectOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		all, err := engine.Networks(e)
		if err != nil {
			return err
		}
		var list []networkView
		for _, name := range opt.args {
			n, err := findNetwork(all, name)
			if err != nil {
				return err
			}
			list = append(list, viewNetwork(n))
		}
		return inspect(env.ui, opt.format, list)
	})
}

func findNetwork(all []engine.Network, name string) (engine.Network, error) {
	for _, n := range all {
		if n.Name == name {
			return n, nil
		}
	}
	return engine.Network{}, fmt.Errorf("no such network: %q", name)
}

// networkView is a network as docker shows it, with the projects on it.
type networkView struct {
	Name       string
	Created    string `json:",omitempty"`
	Driver     string
	EnableIPv4 bool
	EnableIPv6 bool
	IPAM       struct{ Config []poolView }
	Internal   bool
	// Project is whose file has it, Projects who is on it with others.
	Project    string `json:",omitempty"`
	Projects   []string
	Containers map[string][]string
	Options    map[string]string
	Labels     map[string]string
}

type poolView struct {
	Subnet             string
	IPRange            string   `json:",omitempty"`
	Gateway            string   `json:",omitempty"`
	AuxiliaryAddresses []string `json:",omitempty"`
}

func viewNetwork(n engine.Network) networkView {
	v := networkView{Name: n.Name, Driver: "bridge", EnableIPv4: !n.NoIPv4, EnableIPv6: n.IPv6, Internal: n.Internal, Project: n.Owner,
		Projects: n.Users, Containers: n.Containers, Labels: n.Labels}
	if !n.Created.IsZero() {
		v.Created = n.Created.Format("2006-01-02T15:04:05.999999999Z07:00")
	}
	if n.MTU != 0 {
		v.Options = map[string]string{optionMTU: fmt.Sprint(n.MTU)}
	}
	for _, p := range n.Pools {
		v.IPAM.Config = append(v.IPAM.Config, poolView{p.Subnet, p.Range, p.Gateway, p.Reserved})
	}
	return v
}
