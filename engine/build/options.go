package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/runtime"
	"go.podman.io/buildah/define"
	nettypes "go.podman.io/common/libnetwork/types"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
	"golang.org/x/sync/semaphore"
)

// options are the build as buildah is asked for it.
func (o *order) options(ctx context.Context, out *output) (define.BuildOptions, error) {
	b, sys := o.build, *o.cfg.System
	options := define.BuildOptions{
		ContextDirectory: o.context, ContainerSuffix: suffix(o.shop.id),
		PullPolicy: define.PullIfMissing, SystemContext: &sys, SignaturePolicyPath: sys.SignaturePolicyPath,
		Args: b.Args, Output: b.Image(), AdditionalTags: b.Tags[1:], Labels: pairs(b.Labels),
		// OCI has no health check, shell or on-build: docker's format keeps what a Dockerfile may say.
		OutputFormat: define.Dockerv2ImageManifest,
		Layers:       true, NoCache: b.NoCache, RemoveIntermediateCtrs: true, ForceRmIntermediateCtrs: true,
		Out: out.stdout(), Err: out.stderr(), ReportWriter: out.pulls(),
		Isolation: define.IsolationOCI, Runtime: o.cfg.Runtime.Path, RuntimeArgs: runtimeArgs(o.cfg.Runtime, runtimeDir(o.dir)),
		JobSemaphore:            semaphore.NewWeighted(1),
		AdditionalBuildContexts: map[string]*define.AdditionalBuildContext{nothing: {Value: filepath.Join(o.dir, nothing)}},
		CommonBuildOpts: &define.CommonBuildOptions{
			Memory: b.Memory, HTTPProxy: true, IdentityLabel: types.OptionalBoolFalse,
		},
	}
	if b.Pull {
		options.PullPolicy = define.PullAlways
	}
	if b.Privileged {
		options.AddCapabilities = []string{"ALL"}
		// Of AppArmor nothing is said: buildah confines by it only where it is told to.
		options.CommonBuildOpts.SeccompProfilePath = "unconfined"
		options.CommonBuildOpts.Unmasks, options.CommonBuildOpts.LabelOpts = []string{"ALL"}, []string{"disable"}
	}
	for _, name := range sorted(b.Contexts) {
		if image, ok := strings.CutPrefix(b.Contexts[name], imagePrefix); ok {
			options.AdditionalBuildContexts[name] = &define.AdditionalBuildContext{IsImage: true, Value: image}
			continue
		}
		options.AdditionalBuildContexts[name] = &define.AdditionalBuildContext{Value: o.folders[name]}
	}
	target, ok := o.file.has(b.Target)
	options.Target = target
	if b.Target != "" && !ok {
		if n, err := strconv.Atoi(b.Target); err != nil || n < 0 || n >= len(o.file.stages) {
			return options, fmt.Errorf("%s: there is no stage %q", o.file.name, b.Target)
		}
	}
	o.network(&options)
	if how := b.RunsOtherwise(); how != "" {
		// Of how RUN runs nothing is in buildah's keys of layers: as the name of a label that is taken away it is
		// (imagebuildah/stage_executor.go: buildMetadata), and no image has a label of that name.
		sum := sha256.Sum256([]byte(how))
		options.UnsetLabels = []string{"pcompose.run." + hex.EncodeToString(sum[:6])}
	}
	return options, errors.Join(o.ignore(&options), o.place(ctx, &options), o.run(options.CommonBuildOpts), o.caches(&options))
}

// runtimeArgs come before the commands that buildah gives the OCI runtime.
func runtimeArgs(cfg runtime.Config, root string) []string {
	return append(cfg.Before(), "--root", root)
}

// run is what RUN gets.
func (o *order) run(common *define.CommonBuildOptions) error {
	b := o.build
	for _, h := range b.ExtraHosts {
		common.AddHost = append(common.AddHost, h.Name+":"+h.IP)
	}
	common.Ulimit = o.ulimits()
	if b.ShmSize > 0 {
		common.ShmSize = strconv.FormatInt(b.ShmSize, 10)
	}
	for i, secret := range b.Secrets {
		path, err := o.secret(i, secret)
		if err != nil {
			return fmt.Errorf("secret %q: %w", secret.ID, err)
		}
		common.Secrets = append(common.Secrets, "id="+secret.ID+",src="+path+",type=file")
	}
	for _, s := range b.SSH {
		paths := s.Paths
		if len(paths) == 0 {
			agent, ok := o.cfg.LookupEnv("SSH_AUTH_SOCK")
			if !ok || agent == "" {
				return fmt.Errorf("ssh %q: no agent runs: SSH_AUTH_SOCK is not set: start one, or name a key, as in %s=KEY", s.ID, s.ID)
			}
			paths = []string{agent}
		}
		for _, path := range paths {
			if _, err := os.Stat(path); err != nil {
				return fmt.Errorf("ssh %q: %w", s.ID, err)
			}
		}
		common.SSHSources = append(common.SSHSources, s.ID+"="+strings.Join(paths, ","))
	}
	return nil
}

// ulimits are those of the file, as far as they may be set, and for the two that buildah would set in any case, as high as
// it would.
func (o *order) ulimits() []string {
	limits := map[string]pod.Ulimit{}
	for _, name := range []string{"nofile", "nproc"} {
		limits[name] = pod.Ulimit{Name: name, Soft: int64(define.RLimitDefaultValue), Hard: int64(define.RLimitDefaultValue)}
	}
	for _, u := range o.build.Ulimits {
		limits[u.Name] = u
	}
	var list []string
	for _, name := range sorted(limits) {
		u := limits[name]
		if highest, bounded := o.cfg.MaxRlimits[name]; bounded && highest < math.MaxInt64 {
			top := int64(highest)
			for _, limit := range []*int64{&u.Soft, &u.Hard} {
				if *limit < 0 || *limit > top { // -1 is no limit
					*limit = top
				}
			}
		}
		list = append(list, fmt.Sprintf("%s=%d:%d", name, u.Soft, u.Hard))
	}
	return list
}

// secret is a file with a secret, of a name that buildah's notation can have.
func (o *order) secret(number int, s pod.BuildSecret) (string, error) {
	path := filepath.Join(o.dir, "secret-"+strconv.Itoa(number))
	if s.File != "" {
		if _, err := os.Stat(s.File); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("there is no file %q", s.File)
		} else if err != nil {
			return "", err
		}
		return path, os.Symlink(s.File, path)
	}
	content := s.Content
	if s.Env != "" {
		var ok bool
		if content, ok = o.cfg.LookupEnv(s.Env); !ok {
			return "", fmt.Errorf("the variable %s of the environment is not set", s.Env)
		}
	}
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// caches are the repositories that layers are taken from and kept in.
func (o *order) caches(options *define.BuildOptions) error {
	for _, list := range []struct {
		from []string
		to   *[]reference.Named
	}{{o.build.CacheFrom, &options.CacheFrom}, {o.build.CacheTo, &options.CacheTo}} {
		for _, name := range list.from {
			named, err := reference.ParseNormalizedNamed(name)
			if err != nil {
				return fmt.Errorf("cache %q: %w", name, err)
			}
			*list.to = append(*list.to, reference.TrimNamed(named))
		}
	}
	return nil
}

// network is that of RUN: the host's, since a bridge of its own needs netavark, which a machine may not have. A Dockerfile may
// ask for none, and the file.
func (o *order) network(options *define.BuildOptions) {
	options.NetworkInterface = noNetworks{}
	private := o.build.Network == "none"
	options.NamespaceOptions = append(options.NamespaceOptions, define.NamespaceOption{Name: "network", Host: !private})
	options.ConfigureNetwork = define.NetworkEnabled
	if private {
		options.ConfigureNetwork = define.NetworkDisabled
	}
}

// noNetworks stands where buildah would look for netavark on every machine: none of its methods is called, since no namespace
// is configured.
type noNetworks struct{ nettypes.ContainerNetwork }

// pairs are NAME=VALUE, sorted.
func pairs(m map[string]string) []string {
	var list []string
	for _, k := range sorted(m) {
		list = append(list, k+"="+m[k])
	}
	return list
}
