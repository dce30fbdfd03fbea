package desired

import (
	"math"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/pod"
)

// update is deploy.update_config, whose defaults are a swarm's: one at a time, the old one stopped first.
func update(s types.ServiceConfig) *pod.Update {
	if s.Deploy == nil || s.Deploy.UpdateConfig == nil {
		return nil
	}
	u := s.Deploy.UpdateConfig
	out := &pod.Update{StartFirst: u.Order == "start-first", Parallelism: 1, Delay: time.Duration(u.Delay), Monitor: time.Duration(u.Monitor)}
	if u.Parallelism != nil {
		out.Parallelism = int(min(*u.Parallelism, math.MaxInt32))
	}
	if u.FailureAction != "pause" {
		out.OnFailure = pod.FailureAction(u.FailureAction)
	}
	return out
}
