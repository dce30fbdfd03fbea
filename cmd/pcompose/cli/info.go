package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine/machine"
)

type infoOptions struct{ format string }

func newInfo(env *Env, run action[infoOptions]) *cobra.Command {
	opt := &infoOptions{}
	cmd := command(env, "info [OPTIONS]", "Show what pcompose, its images and this machine are", nil, bind(env, opt, run))
	cmd.Flags().StringVarP(&opt.format, "format", "f", "", "Format: json, or a Go template (default: YAML)")
	return cmd
}

// information is what info prints, by podman's names. What podman has and pcompose has not is left out.
type information struct {
	Host       hostInfo       `json:"host"`
	Store      storeInfo      `json:"store"`
	Pods       podsInfo       `json:"pods"`
	Registries map[string]any `json:"registries"`
	Plugins    pluginsInfo    `json:"plugins"`
	Version    versionInfo    `json:"version"`
}

type hostInfo struct {
	Arch              string           `json:"arch"`
	CgroupManager     string           `json:"cgroupManager"`
	CgroupsVersion    string           `json:"cgroupVersion"`
	CgroupControllers []string         `json:"cgroupControllers"`
	CPUs              int              `json:"cpus"`
	CPUUtilization    cpuInfo          `json:"cpuUtilization"`
	Distribution      distributionInfo `json:"distribution"`
	EventLogger       string           `json:"eventLogger"`
	Hostname          string           `json:"hostname"`
	IDMappings        idInfo           `json:"idMappings"`
	InitPath          string           `json:"initPath"`
	Kernel            string           `json:"kernel"`
	LogDriver         string           `json:"logDriver"`
	MemFree           uint64           `json:"memFree"`
	MemTotal          uint64           `json:"memTotal"`
	NetworkBackend    string           `json:"networkBackend"`
	OCIRuntime        runtimeInfo      `json:"ociRuntime"`
	OS                string           `json:"os"`
	Pasta             *pastaInfo       `json:"pasta,omitempty"`
	Security          securityInfo     `json:"security"`
	SwapFree          uint64           `json:"swapFree"`
	SwapTotal         uint64           `json:"swapTotal"`
	Uptime            string           `json:"uptime"`
	Linkmode          string           `json:"linkmode"`
}

type cpuInfo struct {
	UserPercent   float64 `json:"userPercent"`
	SystemPercent float64 `json:"systemPercent"`
	IdlePercent   float64 `json:"idlePercent"`
}

type distributionInfo struct {
	Distribution string `json:"distribution"`
	Version      string `json:"version"`
	Codename     string `json:"codename,omitempty"`
	Variant      string `json:"variant,omitempty"`
}

type idInfo struct {
	GIDMap []machine.IDRange `json:"gidmap"`
	UIDMap []machine.IDRange `json:"uidmap"`
}

type runtimeInfo struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Version string `json:"version"`
}

type pastaInfo struct {
	Executable string `json:"executable"`
	Version    string `json:"version"`
}

type securityInfo struct {
	AppArmorEnabled     bool   `json:"apparmorEnabled"`
	DefaultCapabilities string `json:"capabilities"`
	Rootless            bool   `json:"rootless"`
	SECCOMPEnabled      bool   `json:"seccompEnabled"`
	SELinuxEnabled      bool   `json:"selinuxEnabled"`
}

type storeInfo struct {
	ContainerStore     countInfo         `json:"containerStore"`
	GraphDriverName    string            `json:"graphDriverName"`
	GraphOptions       map[string]string `json:"graphOptions"`
	GraphRoot          string            `json:"graphRoot"`
	GraphRootAllocated uint64            `json:"graphRootAllocated"`
	GraphRootUsed      uint64            `json:"graphRootUsed"`
	GraphStatus        map[string]string `json:"graphStatus"`
	ImageStore         imageCount        `json:"imageStore"`
	RunRoot            string            `json:"runRoot"`
	// Root is where pcompose keeps state and logs, RunDir what does not outlive a reboot.
	Root       string `json:"root"`
	RunDir     string `json:"runDir"`
	VolumePath string `json:"volumePath"`
}

// countInfo counts containers of pcompose's pods.
type countInfo struct {
	Number  int `json:"number"`
	Paused  int `json:"paused"`
	Running int `json:"running"`
	Stopped int `json:"stopped"`
}

type imageCount struct {
	Number int `json:"number"`
}

// podsInfo counts pods. One runs when a container of it does.
type podsInfo struct {
	Number  int `json:"number"`
	Running int `json:"running"`
}

type pluginsInfo struct {
	Volume  []string `json:"volume"`
	Network []string `json:"network"`
	Log     []string `json:"log"`
}

type versionInfo struct {
	Version   string
	GoVersion string
	GitCommit string
	// BuiltTime is when the commit was made, and Built the same in seconds since 1970.
	BuiltTime string
	Built     int64
	OsArch    string
	Os        string
}

func runInfo(ctx context.Context, env *Env, opt *infoOptions) error {
	v, err := readInformation(ctx, env)
	if err != nil {
		return err
	}
	switch opt.format {
	case "json":
		return env.ui.JSON(v)
	case "", "yaml":
		return printYAML(env.ui, v)
	}
	return ui.Template(env.ui, opt.format, nil, []information{v})
}

// printYAML prints what --format json has as YAML, names sorted, as podman info does.
func printYAML(u *ui.UI, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot print as YAML: %w", err)
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return fmt.Errorf("cannot print as YAML: %w", err)
	}
	var out strings.Builder
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(tree); err != nil {
		return fmt.Errorf("cannot print as YAML: %w", err)
	}
	return u.Text([]byte(out.String()))
}

// osArch is "linux/amd64".
func osArch() string { return runtime.GOOS + "/" + runtime.GOARCH }
