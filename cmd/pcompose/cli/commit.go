package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/image"
)

type commitOptions struct {
	args            []string
	author, message string
	changes         []string
	index           int
	pause           bool
}

func newCommit(env *Env, run action[commitOptions]) *cobra.Command {
	opt := &commitOptions{}
	cmd := command(env, "commit [OPTIONS] SERVICE [REPOSITORY[:TAG]]", "Create a new image from a service container's changes", &opt.args, bind(env, opt, run))
	f := cmd.Flags()
	f.StringVarP(&opt.author, "author", "a", "", "Author, such as \"Jane Doe <jane@example.org>\"")
	f.StringArrayVarP(&opt.changes, "change", "c", nil, "Apply a Containerfile instruction to the image")
	f.IntVar(&opt.index, "index", 0, "Number of the container if the service has several")
	f.StringVarP(&opt.message, "message", "m", "", "Commit message")
	f.BoolVarP(&opt.pause, "pause", "p", true, "Pause the container meanwhile")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		names := []string{"a service", "a name for the image"} // the second may be left out
		return takes(names[:max(1, min(len(args), 2))]...)(cmd, args)
	}
	return cmd
}

func runCommit(ctx context.Context, env *Env, opt *commitOptions) error {
	e, t, observed, err := env.look(ctx, opt.args[:1])
	if err != nil {
		return err
	}
	defer e.Close()
	c, err := find(observed, opt.args[0], opt.index)
	if err != nil {
		return err
	}
	if env.global.dryRun {
		env.ui.Line("commit %s", c.Name)
		return nil
	}
	project := e.Project(t.name)
	unlock, err := lock(ctx, env, project, t.name)
	if err != nil {
		return err
	}
	defer unlock()
	if observed, err = e.Observe(ctx, t.name, nil); err != nil {
		return err
	}
	if c, err = find(observed, opt.args[0], opt.index); err != nil { // it may be another by now
		return err
	}
	commit := image.Commit{Author: opt.author, Comment: opt.message, Changes: opt.changes}
	if len(opt.args) > 1 {
		commit.Name = opt.args[1]
	}
	env.ui.Say(" %s Commit %s Committing", c.Name, c.Name)
	why := engine.Freezes(e)
	if opt.pause && why != nil {
		env.ui.Warn(fmt.Sprintf("container %s goes on while it is committed: %v", c.Name, why))
	}
	id, err := engine.FilesOf(project).Commit(ctx, c, opt.pause && why == nil, commit)
	if err != nil {
		return err
	}
	env.ui.Say(" %s Commit %s Committed as sha256:%s", c.Name, c.Name, id)
	env.ui.Line("sha256:%s", id)
	return nil
}
