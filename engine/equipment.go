package engine

import "github.com/pcompose/pcompose/engine/ocispec"

// Equipment is what pods get from this machine, as the engine would choose it now.
type Equipment struct {
	// Root and RunRoot are where the engine keeps things.
	Root, RunRoot string
	// Runtime is the OCI runtime's program and RuntimeKind which one that is; RuntimeErr says why there is none.
	Runtime, RuntimeKind string
	RuntimeErr           error
	// Init is the program for services with init: true, "" where none is installed.
	Init string
	// Controllers are those of cgroups by which limits can be set, CgroupV2 whether there is one tree of them.
	Controllers []string
	CgroupV2    bool
	// Capabilities are those of containers that ask for no others.
	Capabilities []string
	// Seccomp, AppArmor and SELinux say what the kernel has.
	Seccomp, AppArmor, SELinux bool
}

// Equip finds what pods would get. It changes nothing.
func Equip(e *Engine) (Equipment, error) {
	h, err := e.host()
	if err != nil {
		return Equipment{}, err
	}
	q := Equipment{
		Root: e.cfg.Root, RunRoot: e.cfg.RunRoot, Init: h.init, Controllers: h.Controllers, CgroupV2: h.CgroupV2,
		Capabilities: ocispec.DefaultCapabilities(), Seccomp: h.Seccomp, AppArmor: h.AppArmor, SELinux: h.SELinux,
	}
	path, kind, err := e.runtime()
	q.Runtime, q.RuntimeKind, q.RuntimeErr = path, string(kind), err
	return q, nil
}
