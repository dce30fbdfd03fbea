package cli

import (
	"context"
	"strings"
	"time"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/pod"
)

// remembersWithin is how long explain waits for another command that works on the project, down perhaps: output waits
// meanwhile, and a later plan sees what is not written down now, if it still is so.
const remembersWithin = time.Second

// explain says of a container that ended what is known beyond what it wrote: who had the port that it could not bind. The
// next plan remembers it.
func (r runner) explain(ctx context.Context, name string, c pod.ContainerStatus) {
	if c.Run.ExitCode == 0 {
		return
	}
	// That it cannot be looked at, here and below, is not what the user asked.
	now, err := r.e.Observe(ctx, name, nil)
	if err != nil {
		return
	}
	project := r.e.Project(name)
	denied, err := engine.Denied(ctx, project, now)
	p := postMortem{command: r.env.again(name), now: now, denied: denied}
	why := p.collisions(c.Container)
	if err != nil || why == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, remembersWithin)
	defer cancel()
	if unlock, err := project.Lock(ctx, nil); err == nil {
		defer unlock()
		if err := engine.RememberDenied(project, denied); err != nil {
			r.env.ui.Warn(err.Error())
		}
	}
	r.env.ui.Say("%s: %s", c.Name, strings.TrimSpace(why))
}
