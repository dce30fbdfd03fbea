package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// comesLater says whether docker compose has a command of that name, and pcompose has none yet.
func comesLater(name string) bool {
	return slices.Contains([]string{
		"bridge", "publish", "push",
	}, name)
}

// takes allows a command at least as many arguments as it names; only so many, unless the last may be repeated.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		repeats := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s needs %s: see `%s --help`", cmd.CommandPath(), strings.Join(names, " and "), cmd.CommandPath())
		case len(args) > len(names) && len(names) == 0:
			return fmt.Errorf("%s takes no arguments, such as %q: see `%s --help`", cmd.CommandPath(), args[0], cmd.CommandPath())
		case len(args) > len(names) && !repeats:
			return fmt.Errorf("%s takes %s, and not %q: see `%s --help`", cmd.CommandPath(), strings.Join(names, " and "), args[len(names)], cmd.CommandPath())
		}
		return nil
	}
}

// flagExplainer explains errors about flags. One that stands in front of the command that has it stands behind.
func flagExplainer(env *Env) func(*cobra.Command, error) error {
	return func(root *cobra.Command, err error) error {
		var unknown *pflag.NotExistError
		if root.HasParent() || !errors.As(err, &unknown) {
			return explainFlag(root, err)
		}
		name, dashes := strings.TrimLeft(unknown.GetSpecifiedName(), "-"), "--"
		if unknown.GetSpecifiedShortnames() != "" {
			dashes = "-"
		}
		for i, arg := range env.args {
			cmd, _, found := root.Find([]string{arg})
			if found == nil && cmd != root && hasFlag(cmd.Flags(), name) && slices.Contains(env.args[:i], dashes+name) {
				return fmt.Errorf("flag %s%s of %s stands behind it: %s %s%s", dashes, name, cmd.Name(), cmd.CommandPath(), dashes, name)
			}
		}
		return explainFlag(root, err)
	}
}

// explainValue says what a flag takes instead of the value it was given.
func explainValue(invalid *pflag.InvalidValueError) error {
	flag, cause := invalid.GetFlag(), invalid.Unwrap()
	var number *strconv.NumError
	if !errors.As(cause, &number) {
		return fmt.Errorf("--%s: %w", flag.Name, cause)
	}
	kind := "a number"
	if flag.Value.Type() == "bool" {
		kind = "true or false"
	}
	if errors.Is(number.Err, strconv.ErrRange) {
		return fmt.Errorf("--%s: %q is out of range", flag.Name, invalid.GetValue())
	}
	return fmt.Errorf("--%s: %q is not %s", flag.Name, invalid.GetValue(), kind)
}
