package desired

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/pod"
)

// resources are the limits of a service; those of its deploy section win, as in docker compose.
func resources(project *compose.Project, s types.ServiceConfig) pod.Resources {
	r := pod.Resources{
		Memory: int64(s.MemLimit), MemoryReservation: int64(s.MemReservation), MemorySwap: int64(s.MemSwapLimit),
		CPUs: decimal(s.CPUS), CPUShares: s.CPUShares, CPUQuota: s.CPUQuota, CPUPeriod: s.CPUPeriod, CPUSet: s.CPUSet,
		Pids: s.PidsLimit, OOMScoreAdj: int(s.OomScoreAdj), CPURTPeriod: s.CPURTPeriod, CPURTRuntime: s.CPURTRuntime,
		OOMKillDisable: s.OomKillDisable, BlockIO: blockIO(s.BlkioConfig),
	}
	// compose-go has 0 for none said, and 0 keeps a container from being swapped.
	if s.MemSwappiness != 0 || project.Places.Has("services."+s.Name+".mem_swappiness") {
		swappiness := uint64(s.MemSwappiness)
		r.MemorySwappiness = &swappiness
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

// blockIO is blkio_config, its devices in the order written.
func blockIO(b *types.BlkioConfig) pod.BlockIO {
	if b == nil {
		return pod.BlockIO{}
	}
	out := pod.BlockIO{Weight: b.Weight}
	for _, w := range b.WeightDevice {
		out.WeightDevice = append(out.WeightDevice, pod.DeviceValue{Path: w.Path, Value: uint64(w.Weight)})
	}
	limits := func(list []types.ThrottleDevice) (values []pod.DeviceValue) {
		for _, l := range list {
			values = append(values, pod.DeviceValue{Path: l.Path, Value: uint64(l.Rate)})
		}
		return values
	}
	out.ReadBps, out.WriteBps = limits(b.DeviceReadBps), limits(b.DeviceWriteBps)
	out.ReadIOps, out.WriteIOps = limits(b.DeviceReadIOps), limits(b.DeviceWriteIOps)
	return out
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
