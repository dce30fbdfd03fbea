package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/spf13/cobra"
)

type portOptions struct {
	args     []string
	index    int
	protocol string
}

func newPort(env *Env, run action[portOptions]) *cobra.Command {
	opt := &portOptions{}
	cmd := command(env, "port [OPTIONS] SERVICE PRIVATE_PORT", "Print the public port for a port binding", &opt.args, bind(env, opt, run))
	cmd.Flags().IntVar(&opt.index, "index", 0, "Number of the container if the service has several")
	cmd.Flags().StringVar(&opt.protocol, "protocol", "tcp", "tcp or udp")
	return cmd
}

func runPort(ctx context.Context, env *Env, opt *portOptions) error {
	if len(opt.args) != 2 {
		return errors.New("port needs a service and a port: see `pcompose port --help`")
	}
	port, err := strconv.ParseUint(opt.args[1], 10, 16)
	if err != nil {
		return fmt.Errorf("%q is not a port", opt.args[1])
	}
	if err := oneOf("--protocol", opt.protocol, "tcp", "udp"); err != nil {
		return err
	}
	e, _, observed, err := env.look(ctx, opt.args[:1])
	if err != nil {
		return err
	}
	defer e.Close()
	c, err := running(observed, opt.args[0], opt.index)
	if err != nil {
		return err
	}
	for _, p := range observed.Ports {
		if p.Container == c.Name && p.ContainerPort == uint16(port) && p.Protocol == opt.protocol {
			env.ui.Line("%s", net.JoinHostPort(cmp.Or(p.HostIP, "0.0.0.0"), strconv.Itoa(int(p.HostPort))))
			return nil
		}
	}
	what := published(observed.Ports, c.Name)
	if c.Inward(observed.Topology.Networks) {
		what += ", since all its networks are internal"
	}
	return fmt.Errorf("no port %d/%s for container %s: it publishes %s", port, opt.protocol, c.Name, what)
}
