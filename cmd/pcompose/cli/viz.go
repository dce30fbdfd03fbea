package cli

import (
	"cmp"
	"context"
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/compose"
)

// newAlpha groups what docker compose calls experimental, hidden as there.
func newAlpha(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "alpha", Short: "Experimental commands", Hidden: true, Args: cobra.ArbitraryArgs, RunE: unknownCommand}
	cmd.AddCommand(newViz(env, runViz))
	return cmd
}

type vizOptions struct {
	networks, ports, image, spaces bool
	indentation                    int
}

func newViz(env *Env, run action[vizOptions]) *cobra.Command {
	opt := &vizOptions{}
	cmd := command(env, "viz [OPTIONS]", "Print the services and what they wait for as a graph in DOT", nil, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVar(&opt.networks, "networks", false, "Include service's attached networks in output graph")
	f.BoolVar(&opt.ports, "ports", false, "Include service's exposed ports in output graph")
	f.BoolVar(&opt.image, "image", false, "Include service's image name in output graph")
	f.IntVar(&opt.indentation, "indentation-size", 1, "Number of tabs or spaces to use for indentation")
	f.BoolVar(&opt.spaces, "spaces", false, "Indent by spaces instead of tabs")
	return cmd
}

func runViz(ctx context.Context, env *Env, opt *vizOptions) error {
	project, err := env.load(ctx, nil)
	if err != nil {
		return err
	}
	_, err = env.streams.Out.WriteString(opt.graph(project))
	return err
}

// graph is the project in the language of Graphviz's dot(1), as docker compose draws it.
func (o *vizOptions) graph(project *compose.Project) string {
	unit := "\t"
	if o.spaces {
		unit = " "
	}
	indent := strings.Repeat(unit, max(o.indentation, 0))
	var nodes, edges strings.Builder
	for _, name := range slices.Sorted(maps.Keys(project.Model.Services)) {
		s := project.Model.Services[name]
		fmt.Fprintf(&nodes, "%s%q [style=\"filled\" label=<<font point-size=\"15\">%s</font>%s>];\n", indent, name, html.EscapeString(name), o.details(project, s))
		for _, on := range slices.Sorted(maps.Keys(s.DependsOn)) {
			fmt.Fprintf(&edges, "%s%q -> %q;\n", indent, name, on)
		}
	}
	return fmt.Sprintf("digraph %q {\n%slayout=dot;\n%s\n%s}\n", project.Name, indent, nodes.String(), edges.String())
}

// details are what the options add below a service's name.
func (o *vizOptions) details(project *compose.Project, s types.ServiceConfig) string {
	var b strings.Builder
	add := func(wanted bool, title string, lines ...string) {
		if wanted && len(lines) > 0 {
			fmt.Fprintf(&b, `<font point-size="10"><br/><br/><b>%s:</b>`, title)
			for _, l := range lines {
				b.WriteString("<br/>" + html.EscapeString(l))
			}
			b.WriteString("</font>")
		}
	}
	add(o.networks, "Networks", slices.Sorted(maps.Keys(s.Networks))...)
	var ports []string
	for _, p := range s.Ports {
		host := ""
		if p.HostIP != "" {
			host = p.HostIP + ":"
		}
		ports = append(ports, fmt.Sprintf("%s%s:%d (%s, %s)", host, p.Published, p.Target, p.Protocol, p.Mode))
	}
	add(o.ports, "Ports", ports...)
	add(o.image, "Image", cmp.Or(s.Image, project.Name+"-"+s.Name))
	return b.String()
}
