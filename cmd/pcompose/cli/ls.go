package cli

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/pod"
)

type lsOptions struct {
	all, quiet bool
	format     string
	filters    []string
}

func newLs(env *Env, run action[lsOptions]) *cobra.Command {
	opt := &lsOptions{}
	cmd := command(env, "ls [OPTIONS]", "List running compose projects", nil, bind(env, opt, run))
	f := cmd.Flags()
	f.StringVar(&opt.format, "format", "table", "Format: table, json")
	f.BoolVarP(&opt.quiet, "quiet", "q", false, "Show names only")
	f.StringArrayVar(&opt.filters, "filter", nil, "Filter by name=PATTERN, a regular expression")
	f.BoolVarP(&opt.all, "all", "a", false, "Show stopped projects too")
	return cmd
}

// listed is a project as ls shows it, by docker compose's names.
type listed struct{ Name, Status, ConfigFiles string }

func runLs(ctx context.Context, env *Env, opt *lsOptions) error {
	if err := oneOf("--format", opt.format, "table", "json"); err != nil {
		return err
	}
	var names []*regexp.Regexp
	for _, f := range opt.filters {
		key, pattern, ok := strings.Cut(f, "=")
		if !ok {
			return fmt.Errorf("bad format of filter %q (expected name=value)", f)
		}
		if key != "name" {
			return fmt.Errorf("invalid filter '%s': there is name=PATTERN", key)
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return fmt.Errorf("filter name=%s is no regular expression: %w", pattern, err)
		}
		names = append(names, re)
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	projects, err := e.Projects(ctx)
	if err != nil {
		return err
	}
	list := []listed{}
	for _, p := range projects {
		alive := slices.ContainsFunc(p.Containers, func(c pod.ContainerStatus) bool { return c.Run.State.Alive() })
		matches := len(names) == 0 || slices.ContainsFunc(names, func(re *regexp.Regexp) bool { return re.MatchString(p.Name) })
		if len(p.Containers) == 0 || !alive && !opt.all || !matches {
			continue
		}
		l := listed{Name: p.Name, Status: summary(p)}
		if p.Spec != nil {
			l.ConfigFiles = strings.Join(p.Spec.Files, ",")
		}
		list = append(list, l)
	}
	return showProjects(env.ui, opt, list)
}

func showProjects(u *ui.UI, opt *lsOptions, list []listed) error {
	switch {
	case opt.quiet:
		for _, l := range list {
			u.Line("%s", l.Name)
		}
		return nil
	case opt.format == "json":
		return u.JSONLine(list)
	}
	rows := make([][]string, len(list))
	for i, l := range list {
		rows[i] = []string{l.Name, l.Status, l.ConfigFiles}
	}
	return u.Table(ui.Wide, []string{"NAME", "STATUS", "CONFIG FILES"}, rows)
}

// summary counts a project's containers by state: "exited(1), running(2)".
func summary(p pod.Status) string {
	counts := map[string]int{}
	for _, c := range p.Containers {
		counts[string(c.Run.State)]++
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s(%d)", state, counts[state]))
	}
	return strings.Join(parts, ", ")
}
