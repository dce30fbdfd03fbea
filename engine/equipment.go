package engine

import (
	"github.com/pcompose/pcompose/engine/ocispec"
	"github.com/pcompose/pcompose/pod/pid1"
	"github.com/pcompose/pcompose/pod/runtime"
	"github.com/pcompose/pcompose/pod/runtime/builtin"
)

// Equipment is what pods get from this machine, as the engine would choose it now.
type Equipment struct {
	// Root and RunRoot are where the engine keeps things.
	Root, RunRoot string
	// Runtime is the OCI runtime's program and RuntimeKind which one that is; RuntimeErr says why there is none. The one
	// built in is no program: RuntimeVersion is its library's, else "".
	Runtime, RuntimeKind, RuntimeVersion string
	RuntimeErr                           error
	// BuiltInSeccomp says whether the runtime built in can filter system calls.
	BuiltInSeccomp bool
	// Init is the program for services with init: true, "" where there is none.
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
		Root: e.cfg.Root, RunRoot: e.cfg.RunRoot, Init: installedInit(), Controllers: h.Controllers, CgroupV2: h.CgroupV2,
		Capabilities: ocispec.DefaultCapabilities(), Seccomp: h.Seccomp, AppArmor: h.AppArmor, SELinux: h.SELinux,
	}
	if _, err := pid1.Program(); err == nil {
		q.Init = "built in"
	}
	path, kind, err := e.runtime()
	q.Runtime, q.RuntimeKind, q.RuntimeErr = path, string(kind), err
	q.BuiltInSeccomp = builtin.Seccomp
	if kind == runtime.BuiltIn {
		q.Runtime, q.RuntimeVersion = "", builtin.Version()
	}
	return q, nil
}
