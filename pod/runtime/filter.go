package runtime

import (
	"os"
	"path/filepath"
)

// FilterAnnotation gives crun a system call filter compiled already, in base64, in place of linux.seccomp (crun(1),
// run.oci.seccomp_bpf_data). The built-in runtime takes it as well, others ignore it.
const FilterAnnotation = "run.oci.seccomp_bpf_data"

// keepFilter copies the filter that crun, or the built-in runtime, compiled for a container, and holds among its own state,
// to a file for the next one. It is a saving only: what cannot be kept is compiled again.
func (r *Program) keepFilter(id, to string) {
	if to == "" || (r.cfg.Kind != Crun && r.cfg.Kind != BuiltIn) {
		return
	}
	if _, err := os.Stat(to); err == nil {
		return
	}
	compiled, err := os.ReadFile(filepath.Join(r.cfg.Root, id, "seccomp.bpf"))
	if err != nil || len(compiled) == 0 || os.MkdirAll(filepath.Dir(to), 0o700) != nil {
		return
	}
	// A name of its own: containers of several pods may come here at once.
	tmp, err := os.CreateTemp(filepath.Dir(to), ".filter-*")
	if err != nil {
		return
	}
	_, err = tmp.Write(compiled)
	if closeErr := tmp.Close(); err == nil && closeErr == nil {
		err = os.Rename(tmp.Name(), to)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
}
