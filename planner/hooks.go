package planner

import (
	"time"

	"github.com/pcompose/pcompose/pod"
)

// postStart adds the post_start hooks of a container from one on, one after the other behind a step, and returns the
// last: who depends on the container waits for it.
func (p *Plan) postStart(c pod.Container, from int, why string, after ...int) int {
	last := 0
	for i := from; i < len(c.PostStart); i++ {
		last = p.add(RunPostStart{Name: c.Name, Index: i, Hook: c.PostStart[i]}, why, after...)
		after = []int{last}
	}
	return last
}

// stop adds the stop of a living container, behind its pre_stop hooks where it runs. A grace of nothing leaves these no
// time either.
func (p *Plan) stop(c pod.ContainerStatus, grace time.Duration, why string, after ...int) int {
	if c.Run.State == pod.StateRunning && grace > 0 {
		for i, h := range c.PreStop {
			after = []int{p.add(RunPreStop{Name: c.Name, Index: i, Hook: h, Grace: grace}, why, after...)}
		}
	}
	return p.add(StopContainer{Name: c.Name, Grace: grace}, why, after...)
}
