package cli

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/machine"
	"github.com/pcompose/pcompose/engine/userns"
	"github.com/pcompose/pcompose/pod"
)

// readInformation asks the engine, the store and the machine.
func readInformation(ctx context.Context, env *Env) (v information, err error) {
	e, err := env.open()
	if err != nil {
		return v, err
	}
	defer e.Close()
	has, err := engine.Equip(e)
	if err != nil {
		return v, err
	}
	setup := image.ReadSetup()
	v.Host = describeHost(ctx, env, has)
	v.Version = describeVersion(env.build)
	v.Plugins = pluginsInfo{Volume: []string{"local"}, Network: []string{"bridge", "host", "none"}, Log: []string{"json-file", "k8s-file", "local", "none"}}
	v.Registries = map[string]any{}
	if len(setup.Registries.Search) > 0 {
		v.Registries["search"] = setup.Registries.Search
	}
	for _, r := range setup.Registries.All {
		v.Registries[r.Prefix] = r
	}
	pods, err := e.Projects(ctx)
	if err != nil {
		return v, err
	}
	v.Pods, v.Store.ContainerStore = countPods(pods)
	v.Store.Root, v.Store.RunDir, v.Store.VolumePath = has.Root, has.RunRoot, e.Volumes().Root()
	return v, describeStore(&v.Store, e, setup.Storage)
}

func countPods(pods []pod.Status) (p podsInfo, c countInfo) {
	p.Number = len(pods)
	for _, status := range pods {
		before := c
		for _, container := range status.Containers {
			c.Number++
			switch container.Run.State {
			case pod.StatePaused:
				c.Paused++
			case pod.StateRunning:
				c.Running++
			default:
				c.Stopped++
			}
		}
		if c.Running > before.Running || c.Paused > before.Paused {
			p.Running++
		}
	}
	return p, c
}

func describeHost(ctx context.Context, env *Env, has engine.Equipment) hostInfo {
	d := machine.Describe(machine.Tree{FS: os.DirFS("/")})
	h := hostInfo{
		Arch: runtime.GOARCH, OS: runtime.GOOS, CgroupManager: "cgroupfs", CgroupsVersion: "v1",
		CPUs: d.CPUs, CPUUtilization: cpuInfo{d.User, d.System, d.Idle}, EventLogger: "file", Hostname: d.Hostname, Kernel: d.Kernel,
		Distribution: distributionInfo{d.ID, d.Version, d.Codename, d.Variant},
		IDMappings:   idInfo{GIDMap: d.GIDs, UIDMap: d.UIDs}, InitPath: has.Init, LogDriver: "k8s-file",
		MemFree: d.MemFree, MemTotal: d.MemTotal, SwapFree: d.SwapFree, SwapTotal: d.SwapTotal, NetworkBackend: "pcompose",
		OCIRuntime: runtimeInfo{Name: has.RuntimeKind, Path: has.Runtime, Version: has.RuntimeVersion},
		Security: securityInfo{
			AppArmorEnabled: has.AppArmor, DefaultCapabilities: strings.Join(has.Capabilities, ","), Rootless: userns.Rootless(),
			SECCOMPEnabled: has.Seccomp && (has.Runtime != "" || has.BuiltInSeccomp), SELinuxEnabled: has.SELinux,
		},
		Uptime: uptime(d.Uptime), Linkmode: "dynamic",
	}
	// What is mounted beside the controllers of v1 is none.
	h.CgroupControllers = slices.DeleteFunc(slices.Clone(has.Controllers), func(c string) bool { return c == "systemd" || c == "unified" })
	if has.CgroupV2 {
		h.CgroupsVersion = "v2"
	}
	program, err := os.Executable()
	if err == nil && machine.Static(program) {
		h.Linkmode = "static"
	}
	ask := machine.Config{Tree: machine.Tree{FS: os.DirFS("/")}, Kernel: machine.Here(program), Getenv: env.getenv}
	if has.Runtime != "" {
		h.OCIRuntime.Version = ask.Says(ctx, has.Runtime)
	}
	if path := ask.Find("pasta"); path != "" {
		h.Pasta = &pastaInfo{path, ask.Says(ctx, path)}
	}
	return h
}

// uptime is as podman info has it: "6h 15m 4.00s (Approximately 0.25 days)".
func uptime(d time.Duration) string {
	return fmt.Sprintf("%dh %dm %.2fs (Approximately %.2f days)", int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds(), d.Hours()/24)
}

// describeStore completes what is told of the store. It is opened for that: what its file system can do is known then.
func describeStore(s *storeInfo, e *engine.Engine, setup image.StorageSetup) error {
	store, err := e.Images()
	if err != nil {
		return err
	}
	list, err := store.List()
	if err != nil {
		return err
	}
	storage := store.Storage()
	s.ImageStore.Number = len(list)
	s.GraphDriverName, s.GraphRoot, s.RunRoot = storage.GraphDriverName(), storage.GraphRoot(), storage.RunRoot()
	s.GraphOptions, s.GraphStatus = map[string]string{}, map[string]string{}
	for _, option := range setup.Options {
		name, value, _ := strings.Cut(option, "=")
		s.GraphOptions[name] = value
	}
	status, err := storage.Status()
	if err != nil {
		return fmt.Errorf("cannot ask the image store for its state: %w", err)
	}
	for _, pair := range status {
		s.GraphStatus[pair[0]] = pair[1]
	}
	disk, err := machine.Here("").Disk(s.GraphRoot)
	s.GraphRootAllocated, s.GraphRootUsed = disk.Size, disk.Size-disk.Free
	return err
}

func describeVersion(b Build) versionInfo {
	v := versionInfo{Version: strings.TrimPrefix(b.version(), "v"), GoVersion: runtime.Version(), GitCommit: b.Commit, OsArch: osArch(), Os: runtime.GOOS}
	if built, err := time.Parse(time.RFC3339, b.Date); err == nil {
		v.BuiltTime, v.Built = built.UTC().Format(time.ANSIC), built.Unix()
	}
	return v
}
