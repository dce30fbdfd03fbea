//go:build cgo

package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer/capabilities"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/seccomp"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runc/types"
	"github.com/opencontainers/runtime-spec/specs-go"
	spec "github.com/opencontainers/runtime-spec/specs-go/features"
)

// update sets the limits of a running container that linux.resources of --resources (a file, - for stdin) names.
func (c *call) update(args []string) error {
	flags := newFlags("update")
	file := flags.StringP("resources", "r", "", "")
	id, _, err := argument(flags, args)
	if err != nil {
		return err
	}
	var text []byte
	switch *file {
	case "":
		return errors.New("update: --resources names no file")
	case "-":
		text, err = io.ReadAll(os.Stdin)
	default:
		text, err = os.ReadFile(*file)
	}
	if err != nil {
		return fmt.Errorf("cannot read resources: %w", err)
	}
	want := specs.LinuxResources{}
	if err := json.Unmarshal(text, &want); err != nil {
		return fmt.Errorf("cannot read resources: %w", err)
	}
	container, err := c.load(id)
	if err != nil {
		return err
	}
	config := container.Config()
	limit(config.Cgroups.Resources, want)
	// Device rules stay as they are: they were set when the container was made.
	config.Cgroups.SkipDevices = true
	return container.Set(config)
}

// limit changes what is named.
func limit(r *cgroups.Resources, want specs.LinuxResources) {
	if m := want.Memory; m != nil {
		set(&r.Memory, m.Limit)
		set(&r.MemorySwap, m.Swap)
		set(&r.MemoryReservation, m.Reservation)
	}
	if p := want.CPU; p != nil {
		set(&r.CpuShares, p.Shares)
		set(&r.CpuQuota, p.Quota)
		set(&r.CpuBurst, &p.Burst)
		set(&r.CpuPeriod, p.Period)
		set(&r.CpuRtPeriod, p.RealtimePeriod)
		set(&r.CpuRtRuntime, p.RealtimeRuntime)
		if p.Cpus != "" {
			r.CpusetCpus = p.Cpus
		}
		if p.Mems != "" {
			r.CpusetMems = p.Mems
		}
	}
	if want.Pids != nil {
		set(&r.PidsLimit, &want.Pids.Limit)
	}
	if b := want.BlockIO; b != nil {
		set(&r.BlkioWeight, b.Weight)
	}
	for name, value := range want.Unified {
		if r.Unified == nil {
			r.Unified = map[string]string{}
		}
		r.Unified[name] = value
	}
}

func set[T any](to, value *T) {
	if value != nil {
		*to = *value
	}
}

// events prints what a container uses, once: runc's stream of further events is left out.
func (c *call) events(args []string) error {
	flags := newFlags("events")
	stats := flags.Bool("stats", false, "")
	id, _, err := argument(flags, args)
	if err != nil {
		return err
	}
	if !*stats {
		return errors.New("events: only --stats is known")
	}
	container, err := c.load(id)
	if err != nil {
		return err
	}
	all, err := container.Stats()
	if err != nil {
		return err
	}
	var s types.Stats
	if cg := all.CgroupStats; cg != nil {
		s.CPU.Usage = types.CpuUsage{
			Total: cg.CpuStats.CpuUsage.TotalUsage, Kernel: cg.CpuStats.CpuUsage.UsageInKernelmode,
			User: cg.CpuStats.CpuUsage.UsageInUsermode, Percpu: cg.CpuStats.CpuUsage.PercpuUsage,
		}
		s.Memory.Cache = cg.MemoryStats.Cache
		s.Memory.Usage = types.MemoryEntry{
			Limit: cg.MemoryStats.Usage.Limit, Usage: cg.MemoryStats.Usage.Usage,
			Max: cg.MemoryStats.Usage.MaxUsage, Failcnt: cg.MemoryStats.Usage.Failcnt,
		}
		s.Memory.Raw = cg.MemoryStats.Stats
		s.Pids = types.Pids{Current: cg.PidsStats.Current, Limit: cg.PidsStats.Limit}
	}
	return show(c.out, types.Event{Type: "stats", ID: id, Data: s})
}

// features prints what the runtime can do (runtime-spec, features.md).
func features(out io.Writer, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("features: unexpected argument %q", args[0])
	}
	yes := true
	f := spec.Features{
		OCIVersionMin: "1.0.0", OCIVersionMax: specs.Version,
		Hooks: configs.KnownHookNames(), MountOptions: specconv.KnownMountOptions(),
		Linux: &spec.Linux{
			Namespaces: specconv.KnownNamespaces(), Capabilities: capabilities.KnownCapabilities(),
			Cgroup:   &spec.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &yes, Rdma: &yes},
			Apparmor: &spec.Apparmor{Enabled: &yes}, Selinux: &spec.Selinux{Enabled: &yes},
			MountExtensions: &spec.MountExtensions{IDMap: &spec.IDMap{Enabled: &yes}},
		},
		// What steers the runtime (runtime-spec, features.md): an image must not bring it.
		PotentiallyUnsafeConfigAnnotations: []string{"bundle", "org.systemd.property."},
	}
	if Seccomp {
		f.Linux.Seccomp = &spec.Seccomp{
			Enabled: &yes, Actions: seccomp.KnownActions(), Operators: seccomp.KnownOperators(), Archs: seccomp.KnownArchs(),
			KnownFlags: seccomp.KnownFlags(), SupportedFlags: seccomp.SupportedFlags(),
		}
	}
	return show(out, f)
}

// Version is that of libcontainer, "" where the binary does not say.
func Version() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/opencontainers/runc" {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return ""
}

func version(out io.Writer) error {
	filter := "none"
	if Seccomp {
		major, minor, patch := seccomp.Version()
		filter = fmt.Sprintf("%d.%d.%d", major, minor, patch)
	}
	_, err := fmt.Fprintf(out, "pcompose runtime, libcontainer %s\nspec: %s\nlibseccomp: %s\n", Version(), specs.Version, filter)
	return err
}
