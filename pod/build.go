package pod

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Build is an image that is built from a Dockerfile.
type Build struct {
	// Services have the image, sorted. Their images come first among Tags, the names that the image gets.
	Services []string
	Tags     []string
	// Unnamed are those of Tags that the file does not give, so that no registry has them.
	Unnamed []string `json:",omitempty"`
	// Context is an absolute folder, or the URL of a git repository or an archive; "" with an Inline that needs none.
	Context string `json:",omitempty"`
	// Dockerfile is a path, relative ones below Context; "" is Dockerfile. Inline is its text instead.
	Dockerfile string `json:",omitempty"`
	Inline     string `json:",omitempty"`
	// Target is the stage to build, "" the last.
	Target string            `json:",omitempty"`
	Args   map[string]string `json:",omitempty"`
	Labels map[string]string `json:",omitempty"`
	// Contexts are additional contexts by name: folders, URLs, docker-image://NAME, and for the image of a service the same
	// with the service among After.
	Contexts map[string]string `json:",omitempty"`
	// After are services whose images are built before, sorted.
	After []string `json:",omitempty"`
	// CacheFrom and CacheTo are repositories that keep layers.
	CacheFrom []string      `json:",omitempty"`
	CacheTo   []string      `json:",omitempty"`
	Secrets   []BuildSecret `json:",omitempty"`
	SSH       []BuildSSH    `json:",omitempty"`
	// ExtraHosts are lines of /etc/hosts in RUN.
	ExtraHosts []Host   `json:",omitempty"`
	Ulimits    []Ulimit `json:",omitempty"`
	// NoCache runs every instruction again, Pull fetches base images again.
	NoCache bool `json:",omitempty"`
	Pull    bool `json:",omitempty"`
	// Network of RUN: "" and "default" and "host" are the host's, "none" is none.
	Network string `json:",omitempty"`
	// ShmSize is that of /dev/shm in bytes, Memory the limit of each RUN; 0 is the default and none.
	ShmSize int64 `json:",omitempty"`
	Memory  int64 `json:",omitempty"`
	// Platform is the one to build for as os/arch[/variant], "" this machine's.
	Platform string `json:",omitempty"`
	// Platforms are several to choose from, where Platform is "": this machine's, else the first.
	Platforms []string `json:",omitempty"`
	// Privileged gives RUN every capability and device.
	Privileged bool `json:",omitempty"`
}

// BuildSecret is what RUN --mount=type=secret,id=ID shows. One of File, Env and Content is set.
type BuildSecret struct {
	ID      string
	File    string `json:",omitempty"`
	Env     string `json:",omitempty"`
	Content string `json:",omitempty"`
}

// BuildSSH is what RUN --mount=type=ssh,id=ID reaches: an agent's socket or key files; none is the agent of SSH_AUTH_SOCK.
type BuildSSH struct {
	ID    string
	Paths []string `json:",omitempty"`
}

// RunsOtherwise says how RUN runs, as far as what it makes may differ by that; "" is as it does in any build. An equal RUN of another
// kind is another step.
func (b Build) RunsOtherwise() string {
	var how []string
	if b.Network == "none" {
		how = append(how, "network none")
	}
	if b.Privileged {
		how = append(how, "privileged")
	}
	for _, h := range b.ExtraHosts {
		how = append(how, "host "+h.Name+" "+h.IP)
	}
	for _, u := range b.Ulimits {
		how = append(how, fmt.Sprintf("ulimit %s %d %d", u.Name, u.Soft, u.Hard))
	}
	if b.ShmSize > 0 {
		how = append(how, fmt.Sprintf("shm %d", b.ShmSize))
	}
	return strings.Join(how, ", ")
}

// Image is the name of the built image that plans and messages call it by.
func (b Build) Image() string { return b.Tags[0] }

// SetArg gives a build argument a value.
func (b *Build) SetArg(name, value string) {
	if b.Args == nil {
		b.Args = map[string]string{}
	}
	b.Args[name] = value
}

// Registry says whether a registry may have an image of that name.
func (b Build) Registry(image string) bool { return !slices.Contains(b.Unnamed, image) }

// BuildOf finds how an image is built, by any of its names.
func (s Spec) BuildOf(image string) (Build, bool) {
	for _, b := range s.Builds {
		if slices.Contains(b.Tags, image) {
			return b, true
		}
	}
	return Build{}, false
}

// BuildFor finds how the image of a service is built.
func (s Spec) BuildFor(service string) (Build, bool) {
	for _, b := range s.Builds {
		if slices.Contains(b.Services, service) {
			return b, true
		}
	}
	return Build{}, false
}

// BuildStep is an instruction of a Dockerfile at work.
type BuildStep struct {
	// Name is "2/5", of several stages "1/3 2/5"; Text the instruction.
	Name, Text string
	// Output is a line that it has printed; else the step has begun, or ended.
	Output string
	Ended  bool
	// Cached says that its result was there.
	Cached bool
	Took   time.Duration
}
