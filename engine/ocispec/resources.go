package ocispec

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pcompose/pcompose/pod"
)

const (
	// defaultPids is podman's.
	defaultPids = 2048
	// defaultPeriod and minQuota of the CPU bandwidth controller, in microseconds.
	defaultPeriod = 100_000
	minQuota      = 1_000
	// maxNofile is where a default stops: programs exist that close every descriptor up to the limit.
	maxNofile = 1 << 20
)

// controller says whether a limit can be set, and warns of a limit that was asked for and cannot.
func (b *builder) controller(name, limit string) bool {
	if slices.Contains(b.in.Host.Controllers, name) {
		return true
	}
	if b.in.Host.Rootless {
		b.undelegated = append(b.undelegated, undelegated{name, limit})
	} else {
		b.warn("%s is not applied: the cgroup controller %q is not available", limit, name)
	}
	return false
}

// undelegated is a limit that a user asked for and the controller that it takes.
type undelegated struct{ controller, limit string }

// warnUndelegated tells once of all limits whose controllers this user has not got.
func warnUndelegated(b *builder) {
	var limits, controllers []string
	for _, u := range b.undelegated {
		limits = append(limits, u.limit)
		if !slices.Contains(controllers, u.controller) {
			controllers = append(controllers, u.controller)
		}
	}
	if len(limits) > 0 {
		b.warn("%s: not applied, since cgroup controllers are not delegated to this user: %s (with cgroup v2, systemd does: Delegate= of user@.service)",
			strings.Join(limits, ", "), strings.Join(controllers, ", "))
	}
}

func (b *builder) resources() error {
	defer warnUndelegated(b)
	if b.in.CgroupPath == "" && b.c.Isolation.CgroupParent != "" {
		b.warn("cgroup_parent is not applied: this user may make no cgroups")
	}
	if err := b.memory(); err != nil {
		return err
	}
	if err := b.cpu(); err != nil {
		return err
	}
	if err := b.blockIO(); err != nil {
		return err
	}
	pids := b.c.Resources.Pids
	switch {
	case pids == 0 && slices.Contains(b.in.Host.Controllers, "pids"):
		pids = defaultPids
	case pids > 0 && !b.controller("pids", "pids limit"):
		pids = 0
	}
	if pids > 0 {
		b.spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: &pids}
	}
	return nil
}

// memory: specs' Swap is memory and swap together in both versions; runtimes subtract for v2.
func (b *builder) memory() error {
	r := b.c.Resources
	switch {
	case r.Memory == 0 && r.MemoryReservation == 0 && r.MemorySwap == 0 && r.MemorySwappiness == nil && !r.OOMKillDisable:
		return nil
	case r.Memory == 0 && r.MemorySwap > 0:
		return errors.New("memswap_limit needs mem_limit")
	case r.Memory != 0 && r.Memory < pod.MinMemory:
		return fmt.Errorf("memory limit of %d bytes is less than 6 MiB", r.Memory)
	case r.MemorySwap > 0 && r.MemorySwap < r.Memory:
		return errors.New("memswap_limit, which counts memory and swap together, is less than mem_limit")
	case r.Memory != 0 && r.MemoryReservation > r.Memory:
		return errors.New("mem_reservation is more than mem_limit")
	}
	if !b.controller("memory", "memory limit") {
		return nil
	}
	m := &specs.LinuxMemory{}
	if r.Memory > 0 {
		m.Limit = &r.Memory
	}
	if r.MemoryReservation > 0 {
		m.Reservation = &r.MemoryReservation
	}
	switch {
	case !b.in.Host.Swap:
		if r.MemorySwap > 0 {
			b.warn("swap limit is not applied: this kernel does not account swap by cgroup")
		}
	case r.MemorySwap != 0:
		m.Swap = &r.MemorySwap
	case r.Memory > 0 && r.Memory <= math.MaxInt64/2:
		// As much swap as memory, as docker and podman have it.
		m.Swap = ptr(2 * r.Memory)
	}
	switch {
	case b.in.Host.CgroupV2 && r.MemorySwappiness != nil:
		b.warn("mem_swappiness is not applied: cgroup v2 has no such setting")
	default:
		m.Swappiness = r.MemorySwappiness
	}
	switch {
	case b.in.Host.CgroupV2 && r.OOMKillDisable:
		b.warn("oom_kill_disable is not applied: cgroup v2 has no such setting")
	case r.OOMKillDisable:
		m.DisableOOMKiller = ptr(true)
	}
	if *m != (specs.LinuxMemory{}) {
		b.spec.Linux.Resources.Memory = m
	}
	return nil
}

func (b *builder) cpu() error {
	r := b.c.Resources
	c := &specs.LinuxCPU{}
	if r.CPUs > 0 && r.CPUQuota > 0 {
		return errors.New("cpus and cpu_quota both say how much CPU there is")
	}
	quota, period := r.CPUQuota, r.CPUPeriod
	if r.CPUs > 0 {
		if period == 0 {
			period = defaultPeriod
		}
		quota = int64(math.Round(r.CPUs * float64(period)))
	}
	if quota > 0 && quota < minQuota {
		return fmt.Errorf("CPU limit of %d microseconds in a period is less than the kernel's least, %d", quota, minQuota)
	}
	if (quota != 0 || period != 0 || r.CPUShares > 0) && b.controller("cpu", "CPU limit") {
		if quota != 0 {
			c.Quota = &quota
		}
		if period > 0 {
			c.Period = ptr(uint64(period))
		}
		if r.CPUShares > 0 {
			// v1 shares: the runtime turns them into a v2 weight.
			c.Shares = ptr(uint64(r.CPUShares))
		}
	}
	realtime(b, c)
	if r.CPUSet != "" && b.controller("cpuset", "cpuset") {
		c.Cpus = r.CPUSet
	}
	if *c != (specs.LinuxCPU{}) {
		b.spec.Linux.Resources.CPU = c
	}
	return nil
}

// realtime bounds real-time tasks, which only cgroup v1 can.
func realtime(b *builder, c *specs.LinuxCPU) {
	r := b.c.Resources
	if r.CPURTPeriod == 0 && r.CPURTRuntime == 0 {
		return
	}
	if !b.in.Host.Realtime {
		b.warn("cpu_rt_period and cpu_rt_runtime are not applied: the cgroups of this kernel do not bound real-time tasks (cgroup v1 with CONFIG_RT_GROUP_SCHED does)")
		return
	}
	if r.CPURTPeriod != 0 {
		c.RealtimePeriod = ptr(uint64(r.CPURTPeriod))
	}
	if r.CPURTRuntime != 0 {
		c.RealtimeRuntime = &r.CPURTRuntime
	}
}

// rlimits clamps to what may be set, since setting more fails the start. nofile is always set: what the supervisor raised
// for itself is not the container's.
func (b *builder) rlimits() ([]specs.POSIXRlimit, error) {
	var list []specs.POSIXRlimit
	nofile := false
	for _, u := range b.c.Isolation.Ulimits {
		name := strings.ToLower(u.Name)
		if !slices.Contains(pod.UlimitNames(), name) {
			return nil, fmt.Errorf("unknown ulimit %q: it is one of %s", u.Name, strings.Join(pod.UlimitNames(), ", "))
		}
		soft, hard := unlimited(u.Soft), unlimited(u.Hard)
		if soft > hard {
			return nil, fmt.Errorf("ulimit %s: soft limit %d is more than hard limit %d", name, u.Soft, u.Hard)
		}
		if top, ok := b.in.Host.MaxRlimits[name]; ok && hard > top {
			b.warn("ulimit %s is %d instead of %d: this process may not raise it further", name, top, u.Hard)
			soft, hard = min(soft, top), top
		}
		nofile = nofile || name == "nofile"
		list = append(list, specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(name), Soft: soft, Hard: hard})
	}
	if !nofile {
		top, ok := b.in.Host.MaxRlimits["nofile"]
		if !ok || top > maxNofile {
			top = maxNofile
		}
		list = append(list, specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: top, Hard: top})
	}
	slices.SortFunc(list, func(x, y specs.POSIXRlimit) int { return strings.Compare(x.Type, y.Type) })
	return list, nil
}

func unlimited(v int64) uint64 {
	if v < 0 {
		return math.MaxUint64
	}
	return uint64(v)
}

// oomScoreAdj is always set: the supervisor may have protected itself, which the container must not inherit.
func (b *builder) oomScoreAdj() int {
	want, least := b.c.Resources.OOMScoreAdj, b.in.Host.MinOOMScoreAdj
	if want < least && want != 0 {
		b.warn("oom_score_adj is %d instead of %d: this process may not lower it further", least, want)
	}
	return max(want, least)
}
