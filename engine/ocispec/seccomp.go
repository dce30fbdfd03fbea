package ocispec

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/seccomp"
)

// fileMode is permission bits in the type that specs wants.
func fileMode(bits uint32) fs.FileMode { return fs.FileMode(bits) & fs.ModePerm }

// seccomp sets the system call filter: podman's default profile unless the file names one or the container is privileged.
func (b *builder) seccomp() error {
	iso := b.c.Isolation
	if iso.Seccomp == "unconfined" || (iso.Seccomp == "" && iso.Privileged) {
		return nil
	}
	why := b.in.Host.Unfiltered
	if !b.in.Host.Seccomp {
		why = "the kernel has no seccomp"
	}
	if why != "" {
		b.warn("the container runs without a system call filter: %s", why)
		return nil
	}
	profile := seccomp.DefaultProfile()
	if iso.Seccomp != "" {
		profile = &seccomp.Seccomp{}
		if err := json.Unmarshal(b.in.SeccompProfile, profile); err != nil {
			return fmt.Errorf("seccomp profile %q: %w", iso.Seccomp, err)
		}
	}
	filter, err := resolve(profile, b.spec.Process.Capabilities.Bounding, b.in.Host.Arch)
	if err != nil {
		return fmt.Errorf("seccomp profile %q: %w", iso.Seccomp, err)
	}
	b.spec.Linux.Seccomp = filter
	return nil
}

// scmpArch is libseccomp's name of a GOARCH; of those that have a compatible 32-bit mode a profile names the rest.
func scmpArch(goarch string) specs.Arch {
	switch goarch {
	case "amd64":
		return specs.ArchX86_64
	case "arm64":
		return specs.ArchAARCH64
	case "s390x":
		return specs.ArchS390X
	case "mips64":
		return specs.ArchMIPS64
	case "mips64le":
		return specs.ArchMIPSEL64
	}
	return ""
}

// resolve is a profile for one set of capabilities and one architecture. The library's own does the same, but only when
// linked with libseccomp.
func resolve(p *seccomp.Seccomp, caps []string, arch string) (*specs.LinuxSeccomp, error) {
	if len(p.Architectures) > 0 && len(p.ArchMap) > 0 {
		return nil, fmt.Errorf("it has both architectures and archMap")
	}
	if p.DefaultAction == "" {
		return nil, fmt.Errorf("it has no defaultAction")
	}
	out := &specs.LinuxSeccomp{DefaultAction: specs.LinuxSeccompAction(p.DefaultAction), ListenerPath: p.ListenerPath, ListenerMetadata: p.ListenerMetadata}
	var err error
	if out.DefaultErrnoRet, err = errno(p.DefaultErrno, p.DefaultErrnoRet); err != nil {
		return nil, err
	}
	for _, a := range p.Architectures {
		out.Architectures = append(out.Architectures, specs.Arch(a))
	}
	for _, a := range p.ArchMap {
		if specs.Arch(a.Arch) == scmpArch(arch) {
			out.Architectures = append(out.Architectures, specs.Arch(a.Arch))
			for _, sub := range a.SubArches {
				out.Architectures = append(out.Architectures, specs.Arch(sub))
			}
		}
	}
	for _, f := range p.Flags {
		out.Flags = append(out.Flags, specs.LinuxSeccompFlag(f))
	}
	for _, call := range p.Syscalls {
		if !applies(call, caps, arch) {
			continue
		}
		rule, err := rule(call)
		if err != nil {
			return nil, err
		}
		out.Syscalls = append(out.Syscalls, rule)
	}
	return out, nil
}

func applies(call *seccomp.Syscall, caps []string, arch string) bool {
	has := func(c string) bool { return slices.Contains(caps, c) }
	lacks := func(c string) bool { return !has(c) }
	switch {
	case slices.Contains(call.Excludes.Arches, arch), slices.ContainsFunc(call.Excludes.Caps, has):
		return false
	case len(call.Includes.Arches) > 0 && !slices.Contains(call.Includes.Arches, arch):
		return false
	}
	return !slices.ContainsFunc(call.Includes.Caps, lacks)
}

func rule(call *seccomp.Syscall) (specs.LinuxSyscall, error) {
	names := call.Names
	if call.Name != "" {
		if len(names) > 0 {
			return specs.LinuxSyscall{}, fmt.Errorf("a rule has both name and names")
		}
		names = []string{call.Name}
	}
	out := specs.LinuxSyscall{Names: names, Action: specs.LinuxSeccompAction(call.Action)}
	for _, a := range call.Args {
		out.Args = append(out.Args, specs.LinuxSeccompArg{Index: a.Index, Value: a.Value, ValueTwo: a.ValueTwo, Op: specs.LinuxSeccompOperator(a.Op)})
	}
	var err error
	out.ErrnoRet, err = errno(call.Errno, call.ErrnoRet)
	return out, err
}

// errno is a number, or one of the names that profiles in the field use.
func errno(name string, number *uint) (*uint, error) {
	if name == "" || number != nil {
		return number, nil
	}
	if v, err := strconv.ParseUint(name, 10, 12); err == nil {
		return ptr(uint(v)), nil
	}
	table := map[string]uint{"EPERM": 1, "ENOENT": 2, "EIO": 5, "EAGAIN": 11, "ENOMEM": 12, "EACCES": 13, "EFAULT": 14, "EBUSY": 16,
		"EINVAL": 22, "ENOTTY": 25, "ENOSYS": 38, "EOPNOTSUPP": 95, "EAFNOSUPPORT": 97}
	if v, ok := table[name]; ok {
		return &v, nil
	}
	return nil, fmt.Errorf("unknown errno %q", name)
}
