package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine/userns"
)

// readsOnly says whether a command works on no pod, volume or image: it reads files and prints. A user needs no namespace
// for it.
func readsOnly(cmd *cobra.Command) bool {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return !cmd.HasParent() || slices.Contains([]string{"config", "version", "help", "completion", "alpha", "docker-cli-plugin-metadata", "doctor"}, cmd.Name())
}

// enter has the program of a user who is not root go on in the namespaces of the user's pods.
func enter(env *Env, cmd *cobra.Command) error {
	if readsOnly(cmd) {
		return nil
	}
	// Completion and check tell what they can.
	optional := strings.HasPrefix(cmd.Name(), cobra.ShellCompRequestCmd) || cmd.Name() == "check"
	dir, err := userns.Dir()
	if err == nil {
		err = userns.Enter(dir, func(text string) {
			if !optional {
				env.ui.Warn(text)
			}
		})
	}
	if optional {
		return nil
	}
	return err
}
