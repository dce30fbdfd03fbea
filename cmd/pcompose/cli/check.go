package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
	"github.com/pcompose/pcompose/compose/support"
	"github.com/pcompose/pcompose/planner/desired"
	"github.com/pcompose/pcompose/pod"
)

type checkOptions struct {
	format string
	strict bool
}

func newCheck(env *Env, run action[checkOptions]) *cobra.Command {
	opt := &checkOptions{}
	cmd := command(env, "check [OPTIONS]", "Show what becomes of each attribute of the Compose file", nil, bind(env, opt, run))
	cmd.Flags().StringVar(&opt.format, "format", "table", "Format: table, json")
	cmd.Flags().BoolVar(&opt.strict, "strict", false, "End with 1 when an attribute is not done")
	return cmd
}

// checkedAttribute is an attribute as --format json has it; Line and Column are 0 where there is no more than a file.
type checkedAttribute struct {
	File   string        `json:"file"`
	Line   int           `json:"line"`
	Column int           `json:"column"`
	Path   string        `json:"path"`
	State  support.State `json:"state"`
	Why    string        `json:"why,omitempty"`
}

// checkReport is what --format json prints.
type checkReport struct {
	Project string `json:"project"`
	score
	// Localhost are services that may share one, where docker gives each its own.
	Localhost [][]string `json:"oneLocalhost"`
	// Binds are the bind mounts whose sources are there.
	Binds      []checkedBind      `json:"binds"`
	Attributes []checkedAttribute `json:"attributes"`
}

// score counts attributes. Percent is the share of those that are done, or not needed, rounded down.
type score struct {
	Written int `json:"written"`
	Done    int `json:"done"`
	Changed int `json:"changed"`
	NotDone int `json:"notDone"`
	Percent int `json:"percent"`
}

func runCheck(ctx context.Context, env *Env, opt *checkOptions) error {
	if err := oneOf("--format", opt.format, "table", "json"); err != nil {
		return err
	}
	project, err := env.load(ctx, nil)
	if err != nil {
		return err
	}
	env.warn(project.Warnings)
	spec, err := env.desired(project, desired.Options{})
	var refused compose.Problems
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	found := load.Check(project, refused)
	sum := count(found)
	binds, err := checkBinds(env, project, spec)
	if err != nil {
		return err
	}
	if opt.format == "json" {
		err = env.ui.JSON(checkReport{Project: project.Name, score: sum, Localhost: neighbours(spec), Binds: binds, Attributes: checkedAttributes(found)})
	} else if err = printFindings(env.ui, found, sum); err == nil {
		for _, group := range neighbours(spec) {
			env.ui.Line("One localhost, unless two listen on one port: %s (x-pcompose: {network: own} keeps a service apart)", strings.Join(group, ", "))
		}
		printBinds(env, binds)
	}
	if err == nil && sum.NotDone > 0 && (opt.strict || env.global.strict) {
		return fmt.Errorf("%d of %d attributes are not done", sum.NotDone, sum.Written)
	}
	return err
}

// count is the score. A file without attributes lacks none.
func count(found []load.Finding) score {
	s := score{Written: len(found), Percent: 100}
	for _, f := range found {
		switch f.State {
		case support.Done, support.Unneeded:
			s.Done++
		case support.Changed:
			s.Changed++
		case support.NotDone, support.Refused:
			s.NotDone++
		}
	}
	if s.Written > 0 {
		s.Percent = 100 * s.Done / s.Written
	}
	return s
}

// neighbours are groups of services that nothing in the file keeps from sharing one localhost: that is what a pod does otherwise than
// docker whatever attributes say. Which of them declare one port is known with their images only.
func neighbours(spec pod.Spec) [][]string {
	by := map[string][]string{}
	for _, c := range spec.Containers {
		if c.Replica != 1 || c.NetworkMode != "" || c.Sharing == pod.SharingOwn {
			continue
		}
		var networks []string
		for _, a := range c.Networks {
			networks = append(networks, a.Network)
		}
		slices.Sort(networks)
		key := strings.Join(networks, " ")
		by[key] = append(by[key], c.Service)
	}
	groups := [][]string{}
	for _, key := range slices.Sorted(maps.Keys(by)) {
		if len(by[key]) > 1 {
			groups = append(groups, slices.Sorted(slices.Values(by[key])))
		}
	}
	return groups
}

func checkedAttributes(found []load.Finding) []checkedAttribute {
	all := make([]checkedAttribute, len(found))
	for i, f := range found {
		all[i] = checkedAttribute{f.At.File, f.At.Line, f.At.Column, f.Path, f.State, f.Why}
	}
	return all
}

// printFindings prints what is not simply done below what is, where it is seen, and the score last.
func printFindings(u *ui.UI, found []load.Finding, sum score) error {
	var rows [][]string
	for _, plain := range []bool{true, false} {
		for _, f := range found {
			if plain == slices.Contains([]support.State{support.Done, support.Unneeded}, f.State) {
				rows = append(rows, []string{string(f.State), f.At.String(), f.Path, f.Why})
			}
		}
	}
	if err := u.Table(ui.Compact, []string{"STATE", "PLACE", "ATTRIBUTE", "WHY"}, rows); err != nil {
		return err
	}
	u.Line("\n%d %% of %d attributes are done; %d changed by the pod, %d not done", sum.Percent, sum.Written, sum.Changed, sum.NotDone)
	return nil
}
