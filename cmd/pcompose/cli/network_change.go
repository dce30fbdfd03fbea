package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/pod"
)

// optionMTU is docker's name of the option, which a Compose file may have too.
const optionMTU = "com.docker.network.driver.mtu"

type networkCreateOptions struct {
	args                                []string
	subnets, gateways, ranges, reserved []string
	internal, ipv4, ipv6                bool
	driver                              string
	labels, settings                    []string
}

func newNetworkCreate(env *Env, run action[networkCreateOptions]) *cobra.Command {
	opt := &networkCreateOptions{}
	cmd := command(env, "create NETWORK", "Make a network that projects can join, by external: true", &opt.args, bind(env, opt, run))
	cmd.Args = takes("NETWORK")
	f := cmd.Flags()
	f.StringSliceVar(&opt.subnets, "subnet", nil, "Subnet, ADDRESS/BITS; one of each family")
	f.StringSliceVar(&opt.gateways, "gateway", nil, "Gateway of the subnet it is in")
	f.StringSliceVar(&opt.ranges, "ip-range", nil, "Part of a subnet to choose addresses from")
	f.StringArrayVar(&opt.reserved, "aux-address", nil, "Address that nobody is given, NAME=ADDRESS")
	f.BoolVar(&opt.internal, "internal", false, "No way out")
	f.BoolVar(&opt.ipv4, "ipv4", true, "IPv4 addresses")
	f.BoolVar(&opt.ipv6, "ipv6", false, "IPv6 addresses too")
	f.StringVarP(&opt.driver, "driver", "d", "bridge", "Driver: there is only bridge")
	f.StringArrayVar(&opt.labels, "label", nil, "Label, KEY=VALUE")
	f.StringArrayVarP(&opt.settings, "opt", "o", nil, "Driver option, KEY=VALUE: mtu")
	return cmd
}

func runNetworkCreate(_ context.Context, env *Env, opt *networkCreateOptions) error {
	n, err := opt.network()
	if err != nil {
		return fmt.Errorf("cannot create network %q: %w", opt.args[0], err)
	}
	return env.withEngine(func(e *engine.Engine) error {
		if env.global.dryRun {
			return env.would([]intent{{"network/" + n.Name, "create", "asked to create"}})
		}
		if _, err := engine.CreateNetwork(e, n); err != nil {
			return err
		}
		env.ui.Line("%s", n.Name)
		return nil
	})
}

// network is what the flags say.
func (o *networkCreateOptions) network() (pod.Network, error) {
	n := pod.Network{Name: o.args[0], Internal: o.internal, NoIPv4: !o.ipv4, IPv6: o.ipv6, Labels: keyValues(o.labels)}
	if o.driver != "bridge" {
		return n, fmt.Errorf("there is no network driver %q, only bridge", o.driver)
	}
	for key, value := range keyValues(o.settings) {
		var err error
		if n.MTU, err = strconv.Atoi(value); key != optionMTU && key != "mtu" || err != nil || n.MTU < 68 || n.MTU > 65535 {
			return n, fmt.Errorf("option %s=%s is none: there is mtu, a number from 68 to 65535", key, value)
		}
	}
	for _, s := range o.subnets {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return n, fmt.Errorf("%q is no subnet: write ADDRESS/BITS", s)
		}
		n.IPv6 = n.IPv6 || p.Addr().Is6()
		n.Pools = append(n.Pools, pod.Pool{Subnet: s})
	}
	for i, g := range o.gateways {
		p, err := o.pool(n.Pools, g)
		if err != nil {
			return n, err
		}
		if p.Gateway != "" {
			return n, fmt.Errorf("subnet %s has two gateways, %s and %s", p.Subnet, p.Gateway, o.gateways[i])
		}
		p.Gateway = g
	}
	for _, r := range o.ranges {
		p, err := o.pool(n.Pools, r)
		if err != nil {
			return n, err
		}
		p.Range = r
	}
	for _, address := range keyValues(o.reserved) {
		p, err := o.pool(n.Pools, address)
		if err != nil {
			return n, err
		}
		p.Reserved = append(p.Reserved, address)
		slices.Sort(p.Reserved)
	}
	return n, nil
}

// pool finds the subnet that an address or a range is in.
func (o *networkCreateOptions) pool(pools []pod.Pool, text string) (*pod.Pool, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		r, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no address", text)
		}
		a = r.Addr()
	}
	for i, p := range pools {
		if subnet, err := netip.ParsePrefix(p.Subnet); err == nil && subnet.Contains(a) {
			return &pools[i], nil
		}
	}
	return nil, fmt.Errorf("%s is in none of its subnets: name that one with --subnet", text)
}

type networkRmOptions struct {
	args  []string
	force bool
}

func newNetworkRm(env *Env, run action[networkRmOptions]) *cobra.Command {
	opt := &networkRmOptions{}
	cmd := command(env, "rm NETWORK...", "Remove networks that were made here and no project is on", &opt.args, bind(env, opt, run))
	cmd.Aliases = []string{"remove"}
	cmd.Args = takes("NETWORK...")
	cmd.Flags().BoolVarP(&opt.force, "force", "f", false, "Networks that do not exist are no error")
	return cmd
}

func runNetworkRm(_ context.Context, env *Env, opt *networkRmOptions) error {
	return env.withEngine(func(e *engine.Engine) error {
		all, err := engine.Networks(e)
		if err != nil {
			return err
		}
		var errs []error
		var intents []intent
		for _, name := range opt.args {
			n, err := findNetwork(all, name)
			switch {
			case err != nil && opt.force:
				continue
			case err == nil && env.global.dryRun:
				if err = engine.Removable(n); err == nil {
					intents = append(intents, intent{"network/" + name, "remove", "asked to remove"})
				}
			case err == nil:
				if err = engine.RemoveNetwork(e, name); err == nil {
					env.ui.Line("%s", name)
				}
			}
			errs = append(errs, err)
		}
		if env.global.dryRun {
			errs = append(errs, env.would(intents))
		}
		return errors.Join(errs...)
	})
}
