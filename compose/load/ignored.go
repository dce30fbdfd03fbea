package load

import (
	"fmt"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// elsewhere says of keys that have no meaning for a pod on one Linux machine why, by their path with "*" for names.
func elsewhere() map[string]string {
	const windows, s = "only containers of Windows have it", "services.*."
	words := map[string]string{
		"cpu_count":                          windows + ": write cpus or cpuset",
		"cpu_percent":                        windows + ": write cpus",
		"credential_spec":                    windows,
		"deploy.labels":                      "they are labels of a swarm's service; labels of the service itself are put on its containers",
		"deploy.placement":                   "it chooses among the machines of a swarm, and a pod runs on this one",
		"deploy.endpoint_mode":               "it is about the virtual addresses of a swarm's services",
		"deploy.update_config":               "only a swarm rolls updates out; here a service that changed is replaced when all its replacement needs is there",
		"deploy.rollback_config":             "only a swarm rolls updates back",
		"deploy.resources.reservations.cpus": "only a swarm's scheduler sets CPUs aside; deploy.resources.limits.cpus bounds them, cpu_shares weighs them",
		"deploy.resources.reservations.generic_resources": "only a swarm's machines declare them",
	}
	full := map[string]string{}
	for key, why := range words {
		full[s+key] = why
	}
	return full
}

// kinds warns of values that have no meaning for a pod on one Linux machine.
func (u *unsupported) kinds(s types.ServiceConfig, base string) {
	if s.Isolation != "" && s.Isolation != "default" {
		u.add(base+"isolation", fmt.Sprintf("%q is ignored: only containers of Windows have it", "isolation"))
	}
	if s.UserNSMode != "" && s.UserNSMode != "host" {
		u.add(base+"userns_mode", fmt.Sprintf("the user namespace %q is not made yet: users in the container are those of the host", s.UserNSMode))
	}
	if s.Deploy != nil && !slices.Contains([]string{"", "replicated", "global"}, s.Deploy.Mode) {
		u.add(base+"deploy.mode", fmt.Sprintf("%q is ignored: only a swarm has jobs; with restart: \"no\" a container runs once", s.Deploy.Mode))
	}
}
