package image

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage"
)

// maxConfig bounds the configuration of an image in bytes; those of real images are a few KiB.
const maxConfig = 4 << 20

// RunConfig is what an image says of how it wants to be run. It is data from a stranger, and these fields are all
// that is ever read of it: annotations, host settings and whatever else an image carries steer nothing
// (CVE-2026-94603).
type RunConfig struct {
	Architecture, OS string
	// Env are NAME=value pairs. An entry without "=" is dropped: to some engines it means "take the host's"
	// (CVE-2026-57231).
	Env         []string
	Entrypoint  []string
	Cmd         []string
	User        string
	WorkingDir  string
	StopSignal  string
	Volumes     []string // sorted
	Labels      map[string]string
	Healthcheck *pod.Health
	// Listens are its EXPOSE, sorted by port and protocol.
	Listens []pod.Listen
}

// written is the stored form (image-spec config.md, and docker's Healthcheck). Durations are nanoseconds.
type written struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       struct {
		Env          []string
		Entrypoint   []string
		Cmd          []string
		User         string
		WorkingDir   string
		StopSignal   string
		Volumes      map[string]struct{}
		Labels       map[string]string
		ExposedPorts map[string]struct{}
		Healthcheck  *struct {
			Test                                          []string
			Interval, Timeout, StartPeriod, StartInterval time.Duration
			Retries                                       int
		}
	} `json:"config"`
}

// parseConfig reads an image's configuration. What cannot be meant (a NUL byte, a port that is none) is an error
// rather than passed on.
func parseConfig(blob []byte) (RunConfig, error) {
	if len(blob) > maxConfig {
		return RunConfig{}, fmt.Errorf("it has %d bytes, more than %d", len(blob), maxConfig)
	}
	var w written
	if err := json.Unmarshal(blob, &w); err != nil {
		return RunConfig{}, err
	}
	c := RunConfig{
		Architecture: w.Architecture, OS: w.OS,
		Entrypoint: w.Config.Entrypoint, Cmd: w.Config.Cmd,
		User: w.Config.User, WorkingDir: w.Config.WorkingDir, StopSignal: w.Config.StopSignal,
		Volumes: slices.Sorted(maps.Keys(w.Config.Volumes)), Labels: w.Config.Labels,
	}
	for _, entry := range w.Config.Env {
		if name, _, pair := strings.Cut(entry, "="); pair && name != "" {
			c.Env = append(c.Env, entry)
		}
	}
	texts := slices.Concat(c.Env, c.Entrypoint, c.Cmd, c.Volumes, []string{c.User, c.WorkingDir, c.StopSignal})
	for _, text := range texts {
		if strings.ContainsRune(text, 0) {
			return RunConfig{}, fmt.Errorf("%q has a NUL byte", text)
		}
	}
	if h := w.Config.Healthcheck; h != nil && len(h.Test) > 0 {
		c.Healthcheck = &pod.Health{
			Test: h.Test, Interval: h.Interval, Timeout: h.Timeout,
			StartPeriod: h.StartPeriod, StartInterval: h.StartInterval, Retries: h.Retries,
		}
	}
	var err error
	c.Listens, err = parsePorts(slices.Sorted(maps.Keys(w.Config.ExposedPorts)))
	return c, err
}

// parsePorts reads "80", "80/tcp" and "8000-8003/udp". Protocols other than TCP and UDP are left out: no container
// can be published on them here.
func parsePorts(ports []string) ([]pod.Listen, error) {
	var listens []pod.Listen
	for _, port := range ports {
		span, protocol, _ := strings.Cut(port, "/")
		protocol = strings.ToLower(protocol)
		if protocol == "" {
			protocol = pod.TCP
		}
		first, last, ranged := strings.Cut(span, "-")
		if !ranged {
			last = first
		}
		low, err1 := strconv.ParseUint(first, 10, 16)
		high, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || low == 0 || high < low {
			return nil, fmt.Errorf("exposed port %q is not valid", port)
		}
		if protocol != pod.TCP && protocol != pod.UDP {
			continue
		}
		for p := low; p <= high; p++ {
			listens = append(listens, pod.Listen{Port: uint16(p), Protocol: protocol})
		}
	}
	slices.SortFunc(listens, func(a, b pod.Listen) int {
		if a.Port != b.Port {
			return int(a.Port) - int(b.Port)
		}
		return strings.Compare(a.Protocol, b.Protocol)
	})
	return slices.Compact(listens), nil
}

// Config reads how an image wants to be run. The image is named by its ID.
func (s *Store) Config(id string) (RunConfig, error) {
	blob, err := configBlob(s.storage, id)
	if err != nil {
		return RunConfig{}, fmt.Errorf("cannot read the configuration of image %q: %w", shortID(id), err)
	}
	config, err := parseConfig(blob)
	if err != nil {
		return RunConfig{}, fmt.Errorf("cannot use the configuration of image %q: %w", shortID(id), err)
	}
	return config, nil
}

// configBlob finds the configuration through the image's manifest: its digest is the image's ID most often, not always.
func configBlob(store storage.Store, id string) ([]byte, error) {
	if blob, err := store.ImageBigData(id, "sha256:"+id); err == nil {
		return blob, nil
	}
	raw, err := store.ImageBigData(id, storage.ImageDigestBigDataKey)
	if err != nil {
		return nil, err
	}
	parsed, err := manifest.FromBlob(raw, manifest.GuessMIMEType(raw))
	if err != nil {
		return nil, err
	}
	digest := parsed.ConfigInfo().Digest
	if err := digest.Validate(); err != nil {
		return nil, fmt.Errorf("its manifest names no configuration: %w", err)
	}
	return store.ImageBigData(id, digest.String())
}

// shortID is an ID as people read it.
func shortID(id string) string {
	return id[:min(12, len(id))]
}
