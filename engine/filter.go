package engine

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/runtime"
	"github.com/pcompose/pcompose/pod/runtime/builtin"
)

// unfiltered is why the runtime of a container cannot filter system calls, "" where it can.
func unfiltered(e *Engine, c pod.Container) string {
	if builtin.Seccomp {
		return ""
	}
	if kindOf(e, c) != runtime.BuiltIn {
		return ""
	}
	return "this pcompose was built without libseccomp, which its built-in runtime needs for that: install crun, or use a release of pcompose"
}

// filter gives a spec its system call filter in the form that crun, or the built-in runtime, compiled for an earlier
// container with the same profile. It returns where that form is kept: "" where the runtime is another one, or there is no profile.
//
// Compiling the default profile takes crun three times as long as everything else it does to create a container
// (libseccomp 2.5: 40 ms of 60), and newer versions of it still more than any other step. The file is the runtime's own
// output, kept where only pcompose's user may write, and named by everything it follows from: the profile and the
// program.
func (e *Engine) filter(spec *specs.Spec) (string, error) {
	program, kind, err := e.runtime()
	if err != nil || (kind != runtime.Crun && kind != runtime.BuiltIn) || spec.Linux.Seccomp == nil {
		return "", nil // who starts the container says what is wrong with the runtime
	}
	info, err := os.Stat(program)
	if err != nil {
		return "", err
	}
	profile, err := json.Marshal(spec.Linux.Seccomp)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(profile, "%s %d %s", program, info.Size(), info.ModTime()))
	path := filepath.Join(e.cfg.Root, "filters", hex.EncodeToString(sum[:16])+".bpf")
	compiled, err := os.ReadFile(path)
	if err == nil && !isFilter(compiled) {
		err = os.Remove(path) // as a power cut left it; the supervisor keeps a good one only where there is none
	}
	if err != nil || !isFilter(compiled) {
		return path, nil // it is compiled once more, and the supervisor keeps what comes out
	}
	spec.Annotations = maps.Clone(spec.Annotations)
	if spec.Annotations == nil {
		spec.Annotations = map[string]string{}
	}
	spec.Annotations[runtime.FilterAnnotation] = base64.StdEncoding.EncodeToString(compiled)
	return path, nil
}

// isFilter says whether bytes look like a whole program: instructions of 8 bytes, at most BPF_MAXINSNS, the last of which
// returns (struct sock_filter, linux/filter.h). The kernel refuses others, and the container would never start.
func isFilter(b []byte) bool {
	const size, most, ret = 8, 4096, 0x06
	if len(b) == 0 || len(b)%size != 0 || len(b)/size > most {
		return false
	}
	return binary.NativeEndian.Uint16(b[len(b)-size:])&0x07 == ret
}
