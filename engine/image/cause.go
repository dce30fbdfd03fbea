package image

import (
	"fmt"
	"regexp"
	"strings"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
)

// explain says in one line which places were asked for an image and what each answered. containers/image nests its
// errors some eight deep and gives those of mirrors as text only, so that text is what this reads.
func explain(sys *types.SystemContext, name reference.Named, err error) string {
	sources := pullSources(sys, name)
	text := err.Error()
	var answers []string
	if primary := sources[len(sources)-1]; len(sources) > 1 {
		before, rest, found := strings.Cut(text, "]): "+primary+": ")
		_, mirrors, failed := strings.Cut(before, "(Mirrors also failed: [")
		if found && failed {
			text = rest
			for i, answer := range strings.Split(mirrors, "]\n[") {
				if i < len(sources)-1 {
					answers = append(answers, fmt.Sprintf("mirror %s: %s", host(sources[i]), cause(answer)))
				}
			}
		}
	}
	answers = append(answers, fmt.Sprintf("%s: %s", host(sources[len(sources)-1]), cause(text)))
	return fmt.Sprintf("%s: %s", name, strings.Join(answers, "; "))
}

// pullSources are the references a name is pulled from, mirrors first, itself (as registries.conf relocates it) last.
func pullSources(sys *types.SystemContext, name reference.Named) []string {
	registry, err := sysregistriesv2.FindRegistry(sys, name.Name())
	if err != nil || registry == nil {
		return []string{name.String()}
	}
	found, err := registry.PullSourcesFromReference(name)
	if err != nil || len(found) == 0 {
		return []string{name.String()}
	}
	var sources []string
	for _, source := range found {
		sources = append(sources, source.Reference.String())
	}
	return sources
}

// host is the registry of a full reference.
func host(ref string) string {
	domain, _, _ := strings.Cut(ref, "/")
	return domain
}

// known are what registries and networks answer, and what that means. The first that is found counts.
func known() [][2]string {
	return [][2]string{
		{"no such host", "cannot resolve its host name"},
		{"server misbehaving", "cannot resolve its host name"},
		{"Temporary failure in name resolution", "cannot resolve its host name"},
		{"i/o timeout", "it does not answer"},
		{"connection refused", "connection refused"},
		{"network is unreachable", "network is unreachable"},
		{"no route to host", "no route to host"},
		{"server gave HTTP response to HTTPS client", "it speaks HTTP only (insecure = true in registries.conf allows that)"},
		{"x509:", "its certificate is not trusted"},
		{"manifest unknown", "not found"},
		{"name unknown", "not found"},
		{"repository name not known", "not found"},
		{"status code 404", "not found"},
		{"access to the resource is denied", "not found, or it needs a login"},
		{"authentication required", "not found, or it needs a login"},
		{"invalid username/password", "the login in auth.json is not accepted"},
		{"too many requests", "too many requests, try again later"},
		{"no space left on device", "no space left on device"},
		{"Source image rejected", "its signature does not meet the signature policy"},
	}
}

// cause is the end of an error's chain, which is where the reason is, in few words.
func cause(text string) string {
	lower := strings.ToLower(text)
	for _, k := range known() {
		if strings.Contains(lower, strings.ToLower(k[0])) {
			return k[1]
		}
	}
	text = regexp.MustCompile(`\s+`).ReplaceAllString(text, " ")
	if parts := strings.Split(text, ": "); len(parts) > 2 {
		text = strings.Join(parts[len(parts)-2:], ": ")
	}
	return text[:min(len(text), 300)]
}
