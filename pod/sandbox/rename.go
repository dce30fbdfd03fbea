package sandbox

import (
	"cmp"
	"slices"
)

// Rename gives members other names, all at once, by their old ones: published ports and readiness follow, and no
// packet takes another way. A name that no member has is left out. The keys of Files change with it.
func Rename(s *Sandbox, names map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := func(old string) string { return cmp.Or(names[old], old) }
	s.config.Members = slices.Clone(s.config.Members)
	for i := range s.config.Members {
		s.config.Members[i].Container = name(s.config.Members[i].Container)
	}
	for _, l := range s.listeners {
		l.port.Container = name(l.port.Container)
		l.backends = slices.Clone(l.backends)
		for i := range l.backends {
			l.backends[i].container = name(l.backends[i].container)
		}
	}
	out := map[string]bool{}
	for container := range s.out {
		out[name(container)] = true
	}
	s.out = out
}
