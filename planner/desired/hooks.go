package desired

import (
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/pod"
)

// hooks are post_start or pre_stop.
func hooks(list []types.ServiceHook) []pod.Hook {
	var out []pod.Hook
	for _, h := range list {
		out = append(out, pod.Hook{
			Command: h.Command, Env: h.Environment.ToMapping(), User: h.User, WorkingDir: h.WorkingDir, Privileged: h.Privileged,
		})
	}
	return out
}

// preStart are the pre_start hooks of a replica, which the loader has filled in with what they inherit of the service, but
// for its volumes: they have those of the replica's container, of the first where a hook serves all.
func (t *translation) preStart(s types.ServiceConfig, replica int) []pod.Container {
	var out []pod.Container
	for i, h := range s.PreStart {
		c := t.container(types.ServiceConfig{Name: s.Name, ContainerSpec: h.ContainerSpec})
		n := 1
		parts := []string{t.project.Name, s.Name, "pre_start", fmt.Sprint(i)}
		if h.PerReplica {
			n = replica
			parts = []string{t.project.Name, s.Name, fmt.Sprint(replica), "pre_start", fmt.Sprint(i)}
		}
		c.Name, c.OneOff, c.Hook = strings.Join(parts, t.opts.separator()), true, fmt.Sprintf("pre_start[%d]", i)
		c.After, c.Health = nil, &pod.Health{Test: []string{"NONE"}}
		c.VolumesFrom = append(c.VolumesFrom, pod.VolumesFrom{Container: containerName(t, s, n)})
		c.Labels = t.labels(s, n)
		for k, v := range h.Labels {
			c.Labels[k] = v
		}
		c.Labels[labelOneOff], c.Labels[labelHook] = "True", "pre_start"
		delete(c.Labels, labelNumber)
		out = append(out, c)
	}
	return out
}
