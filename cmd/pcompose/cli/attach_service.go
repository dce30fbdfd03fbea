package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/pod"
)

// attachOptions are those of the command attach; what a foreground up attaches to is an attachment.
type attachOptions struct {
	args              []string
	detachKeys        string
	index             int
	noStdin, sigProxy bool
}

func newAttach(env *Env, run action[attachOptions]) *cobra.Command {
	opt := &attachOptions{}
	cmd := &cobra.Command{
		Use: "attach [OPTIONS] SERVICE", Short: "Attach input and output to a service's running container",
		DisableFlagsInUseLine: true, Args: takes("a service"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.args = args
			// attach takes signals itself: they are for the container.
			return run(cmd.Context(), env, opt)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&opt.detachKeys, "detach-keys", engine.DefaultDetachKeys, "Keys that leave a container's terminal")
	f.IntVar(&opt.index, "index", 0, "Number of the container if the service has several")
	f.BoolVar(&opt.noStdin, "no-stdin", false, "Do not attach standard input")
	f.BoolVar(&opt.sigProxy, "sig-proxy", true, "Send the container all signals that come")
	return cmd
}

func runAttach(ctx context.Context, env *Env, opt *attachOptions) error {
	keys, err := engine.DetachKeys(opt.detachKeys)
	if err != nil {
		return fmt.Errorf("--detach-keys: %w", err)
	}
	e, t, observed, err := env.look(ctx, opt.args)
	if err != nil {
		return err
	}
	defer e.Close()
	c, err := find(observed, opt.args[0], opt.index)
	switch {
	case err != nil:
		return err
	case c.Run.State == pod.StatePaused:
		return errors.New("you cannot attach to a paused container: unpause it first")
	case !c.Run.State.Alive():
		return fmt.Errorf("service %q is not running", c.Service)
	case env.global.dryRun:
		return fmt.Errorf("%s has no plan that --dry-run could print", env.command)
	case c.Log.Driver == pod.LogNone:
		env.ui.Warn(fmt.Sprintf("logging of service %s is none: its output is dropped, and cannot be shown", c.Service))
	}
	a := engine.AttachOptions{Stdout: env.streams.Out, Stderr: env.streams.Err, DetachKeys: keys}
	if !opt.noStdin {
		a.Stdin = env.streams.In
	}
	var left os.Signal
	if !opt.sigProxy {
		a.Leave = func(s os.Signal) bool { left = s; return true }
	}
	code := 0
	env.streams.forward(func(signals <-chan os.Signal) {
		a.Signals = signals
		code, err = engine.Attach(ctx, e.Project(t.name), c, a)
	}, nil)
	if errors.Is(err, engine.ErrDetached) {
		if left != nil {
			return cause(left)
		}
		return nil
	}
	return endedWith(c.Name, code, err)
}
