package desired

import (
	"cmp"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/pod"
)

// isolation is what a service may do beyond the defaults, and what it may not.
func (t *translation) isolation(s types.ServiceConfig) pod.Isolation {
	i := pod.Isolation{Privileged: s.Privileged, CapAdd: s.CapAdd, CapDrop: s.CapDrop}
	for _, o := range s.SecurityOpt {
		name, value, valued := strings.Cut(o, "=")
		if n, v, ok := strings.Cut(o, ":"); ok && !valued {
			name, value = n, v
		}
		switch name {
		case "no-new-privileges":
			i.NoNewPrivileges = value != "false"
		case "seccomp":
			if i.Seccomp = value; value != "unconfined" && !path.IsAbs(value) {
				i.Seccomp = path.Join(t.project.Dir, value)
			}
		case "apparmor":
			i.AppArmor = value
		case "label":
			i.Label = append(i.Label, value)
		case "unmask":
			i.Unmask = append(i.Unmask, strings.Split(value, ":")...)
		case "mask":
			i.Mask = append(i.Mask, strings.Split(value, ":")...)
		case "systempaths":
			if value == "unconfined" {
				i.Unmask = append(i.Unmask, "ALL")
			}
		}
	}
	for name, value := range s.Sysctls {
		// net.* belongs to the network all services share; load.Unsupported warns of it.
		if strings.HasPrefix(name, "net.") {
			continue
		}
		if i.Sysctls == nil {
			i.Sysctls = map[string]string{}
		}
		i.Sysctls[name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(s.Ulimits)) {
		u := pod.Ulimit{Name: name, Soft: int64(s.Ulimits[name].Soft), Hard: int64(s.Ulimits[name].Hard)}
		if single := int64(s.Ulimits[name].Single); single != 0 {
			u.Soft, u.Hard = single, single
		}
		i.Ulimits = append(i.Ulimits, u)
	}
	for _, d := range s.Devices {
		// What is no path is a CDI device; load.Unsupported warns of it.
		if !path.IsAbs(d.Source) {
			continue
		}
		i.Devices = append(i.Devices, pod.Device{Source: d.Source, Target: cmp.Or(d.Target, d.Source), Permissions: d.Permissions})
	}
	return i
}

// resources are the limits of a service; those of its deploy section win, as in docker compose.
func resources(s types.ServiceConfig) pod.Resources {
	r := pod.Resources{
		Memory: int64(s.MemLimit), MemoryReservation: int64(s.MemReservation), MemorySwap: int64(s.MemSwapLimit),
		CPUs: decimal(s.CPUS), CPUShares: s.CPUShares, CPUQuota: s.CPUQuota, CPUPeriod: s.CPUPeriod, CPUSet: s.CPUSet,
		Pids: s.PidsLimit, OOMScoreAdj: int(s.OomScoreAdj),
	}
	if s.Deploy == nil {
		return r
	}
	if l := s.Deploy.Resources.Limits; l != nil {
		r.Memory = cmp.Or(int64(l.MemoryBytes), r.Memory)
		r.CPUs = cmp.Or(decimal(l.NanoCPUs.Value()), r.CPUs)
		r.Pids = cmp.Or(l.Pids, r.Pids)
	}
	if l := s.Deploy.Resources.Reservations; l != nil {
		r.MemoryReservation = cmp.Or(int64(l.MemoryBytes), r.MemoryReservation)
	}
	return r
}

// decimal widens a number as it was written: 0.1 stays 0.1. Compose counts CPUs to nine places.
func decimal(f float32) float64 {
	if f == 0 {
		return 0
	}
	d, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'f', -1, 32), 64)
	if err != nil {
		d = float64(f)
	}
	return math.Round(d*1e9) / 1e9
}

// health is nil where the file says nothing and the image decides. Zero durations are left to the reader of the pod, who knows the defaults.
func health(h *types.HealthCheckConfig) *pod.Health {
	if h == nil {
		return nil
	}
	if h.Disable {
		return &pod.Health{Test: []string{"NONE"}}
	}
	out := &pod.Health{Test: h.Test, Interval: duration(h.Interval), Timeout: duration(h.Timeout),
		StartPeriod: duration(h.StartPeriod), StartInterval: duration(h.StartInterval)}
	if h.Retries != nil {
		out.Retries = int(*h.Retries)
	}
	return out
}

func duration(d *types.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return time.Duration(*d)
}

// restart is deploy.restart_policy, whose condition is "any" where it says none, else restart:.
func restart(s types.ServiceConfig) pod.Restart {
	if s.Deploy == nil || s.Deploy.RestartPolicy == nil {
		policy, count, _ := strings.Cut(s.Restart, ":")
		retries, _ := strconv.Atoi(count)
		return pod.Restart{Policy: pod.RestartPolicy(policy), MaxRetries: retries}
	}
	p := s.Deploy.RestartPolicy
	out := pod.Restart{Policy: pod.RestartAlways, Delay: duration(p.Delay), Window: duration(p.Window)}
	if p.MaxAttempts != nil {
		out.MaxRetries = int(*p.MaxAttempts)
	}
	switch p.Condition {
	case "none", "no":
		return pod.Restart{Policy: pod.RestartNo}
	case "on-failure":
		out.Policy = pod.RestartOnFailure
	case "unless-stopped":
		out.Policy = pod.RestartUnlessStopped
	}
	return out
}

// stop keeps a grace of zero apart from none said: it kills at once.
func stop(s types.ServiceConfig) pod.Stop {
	out := pod.Stop{Signal: s.StopSignal}
	if s.StopGracePeriod != nil {
		grace := time.Duration(*s.StopGracePeriod)
		out.Grace = &grace
	}
	return out
}

// logs reads logging:; its sizes and numbers were checked when the file was loaded.
func logs(l *types.LoggingConfig) pod.Log {
	if l == nil {
		return pod.Log{}
	}
	out := pod.Log{}
	if l.Driver == "none" {
		out.Driver = pod.LogNone
	}
	var size types.UnitBytes
	if err := size.DecodeMapstructure(l.Options["max-size"]); err == nil {
		out.MaxSize = int64(size)
	}
	out.MaxFiles, _ = strconv.Atoi(l.Options["max-file"])
	return out
}
