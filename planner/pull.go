package planner

import (
	"fmt"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// WhyPullAgain says why the policy of a container pulls its image though the store has one, "" where it does not. What
// the store lacks Up pulls.
func WhyPullAgain(c pod.Container, images map[string]pod.Image) string {
	image, have := images[c.Image]
	switch {
	case c.Pull == pod.PullAlways:
		return "asked to pull"
	case c.Pull != pod.PullRefresh || !have || image.Age < c.PullAfter:
		return ""
	case c.PullAfter == 0:
		return "to be refreshed"
	case image.Age == pod.UnknownAge:
		return fmt.Sprintf("to be pulled every %s, and nobody knows when it was last", c.PullAfter)
	}
	return fmt.Sprintf("to be pulled every %s, and last was %s ago", c.PullAfter, image.Age.Truncate(time.Second))
}
