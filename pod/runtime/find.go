package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Kind is which runtime a program is, as far as their command lines differ.
type Kind string

// The kinds. An unknown program is treated as runc, whose command line is the field's standard.
const (
	Crun  Kind = "crun"
	Runc  Kind = "runc"
	Youki Kind = "youki"
	// BuiltIn is this binary, by its command BuiltInCommand. It is also the name to ask for it by.
	BuiltIn Kind = "built-in"
)

// BuiltInCommand is the argument that makes this binary an OCI runtime; runc's command line follows it.
const BuiltInCommand = "runtime"

// Search says where a runtime program may be.
type Search struct {
	// Name is what the user asked for: a name, or a path with a slash; "" for no wish.
	Name string
	// Configured is containers.conf's engine.runtime; "" or absent there falls through to the defaults.
	Configured string
	// Paths are containers.conf's engine.runtimes: candidates for a name, in order.
	Paths map[string][]string
	// PATH is the caller's search path. The sbin directories, where Debian puts runc, are searched after it.
	PATH string
}

// Find is the runtime program to use: the one the user named, else the configured one, else crun, else runc, else the
// built-in one. A name that was asked for and is not there is an error, never replaced by another.
func Find(s Search) (string, Kind, error) {
	names := []string{"crun", "runc", string(BuiltIn)}
	switch {
	case s.Name != "":
		names = []string{s.Name}
	case s.Configured != "":
		names = append([]string{s.Configured}, names...)
	}
	for _, name := range names {
		if name == string(BuiltIn) && len(s.Paths[name]) == 0 {
			// The program that asks, also where its file was replaced or removed meanwhile.
			return "/proc/self/exe", BuiltIn, nil
		}
		for _, path := range candidates(s, name) {
			if executable(path) {
				return path, kindOf(path, name), nil
			}
		}
	}
	return "", "", fmt.Errorf("cannot find OCI runtime %q: no such program: install it (apt install crun), name another, or use %q", names[0], BuiltIn)
}

func candidates(s Search, name string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	list := append([]string(nil), s.Paths[name]...)
	for _, dir := range append(filepath.SplitList(s.PATH), "/usr/local/sbin", "/usr/sbin", "/sbin") {
		// An empty or relative entry would let the working directory choose the program that runs as root.
		if filepath.IsAbs(dir) {
			list = append(list, filepath.Join(dir, name))
		}
	}
	return list
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// kindOf goes by the program's name, its target's where it is a link (Debian's alternatives).
func kindOf(path, name string) Kind {
	names := []string{filepath.Base(name), filepath.Base(path)}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		names = append([]string{filepath.Base(real)}, names...)
	}
	for _, n := range names {
		for _, k := range []Kind{Crun, Youki, Runc} {
			if strings.Contains(n, string(k)) {
				return k
			}
		}
	}
	return Runc
}
