// Package compose is what a user wrote: the loaded project, and the place each value was written.
package compose

import (
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// Project is a loaded project.
type Project struct {
	// Name is normalized: lower case letters, digits, hyphens, underscores.
	Name string
	// Dir is the project directory, absolute.
	Dir string
	// Files are the Compose files as they were given or found, absolute, "-" for standard input.
	Files []string
	// Model is the merged, interpolated model with all paths absolute. Services of inactive profiles are in its DisabledServices.
	Model *types.Project
	// Warnings are for the user to see; nothing in them stops the project.
	Warnings []Problem
	// Ignored are parts of values that the model has no place for, and that no container gets; load.Unsupported tells of them.
	Ignored []Problem
	// Digests of the content of secrets and configs, by SecretKey and ConfigKey.
	Digests map[string]string
	// Remotes are the files that were fetched from elsewhere, in the order they were met.
	Remotes []RemoteFile
	// Places are where values were written, in all files that took part.
	Places Places
}

// RemoteFile is a Compose file from elsewhere.
type RemoteFile struct {
	// Reference is as the user or another file has it; it may hold a password: see Redact. File is the local copy, absolute.
	Reference, File string
	// Main says that it is a file of the project itself, and none that another includes or extends.
	Main bool
}

// Redact is a reference without the password that a URL may hold; in one of HTTP the user's name is often a token.
func Redact(reference string) string {
	if scheme, rest, ok := strings.Cut(reference, "://"); ok {
		host, _, _ := strings.Cut(rest, "/")
		if at := strings.LastIndex(host, "@"); at >= 0 && (strings.HasPrefix(scheme, "http") || strings.Contains(host[:at], ":")) {
			return scheme + "://xxxxx" + rest[at:]
		}
	}
	return reference
}

// At is where path was written, or its nearest parent.
func (p *Project) At(path string) Position { return p.Places.At(path) }

// Problem is a problem at the place of path.
func (p *Project) Problem(path, format string, args ...any) Problem {
	return Problem{At: p.At(path), Path: path, Message: fmt.Sprintf(format, args...)}
}

// SecretKey and ConfigKey name a secret's and a config's entry in Digests.
func SecretKey(name string) string { return "secrets." + name }

// ConfigKey names a config's entry in Digests.
func ConfigKey(name string) string { return "configs." + name }

// PortKeys are the path a published or exposed port of a service is found under: the short form hides several ports in one
// string, and merged files number list items anew, so that an index would point to the wrong place.
func PortKeys(service string, port types.ServicePortConfig) []string {
	return []string{"services", service, "ports", fmt.Sprintf("%s:%s:%d/%s", port.HostIP, port.Published, port.Target, port.Protocol)}
}

// Inward says whether all networks of a service are internal ones, as far as the file knows: then no port of it is published.
// What an external network is only the machine knows.
func Inward(model *types.Project, s types.ServiceConfig) bool {
	for key := range s.Networks {
		if !model.Networks[key].Internal {
			return false
		}
	}
	return len(s.Networks) > 0
}

// AtPort is where a port of a service was written.
func (p *Project) AtPort(service string, port types.ServicePortConfig) Position {
	return p.Places.At(Path(PortKeys(service, port)...))
}
