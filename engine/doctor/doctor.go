// Package doctor says what a machine lacks for pods, why that matters, and what mends it.
//
// It judges and does not look: engine/machine finds the facts. So every verdict is tested on machines that nobody has.
package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// Status is a verdict.
type Status string

// The verdicts. Warning is something that works less well, or not for every project; with Missing no pod comes up.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Missing Status = "missing"
)

// Finding is what there is to say of one thing of a machine.
type Finding struct {
	// Check is its short name: "cgroups". Names stay the same: scripts look for them.
	Check  string `json:"check"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	// Why says what pods need it for, or what goes without it.
	Why string `json:"why"`
	// Fix are commands for a shell, each a line; none where nothing is to be done. A line that begins with # is for a reader.
	Fix []string `json:"fix,omitempty"`
}

// Report is all that there is to say of a machine.
type Report struct {
	// User is who asked: what is missing for one may not be for another.
	User     User      `json:"user"`
	OK       int       `json:"ok"`
	Warnings int       `json:"warnings"`
	Missing  int       `json:"missing"`
	Checks   []Finding `json:"checks"`
}

// Examine judges a machine. What a user needs is not asked of root, and the other way round.
func Examine(m Machine) Report {
	checks := []func(Machine) []Finding{
		kernel, clock, cgroups, confinement,
		userNamespaces, ids, idPrograms, runtimeDirectory, lingering,
		overlay, storage, disks,
		ociRuntime, seccomp, initProgram, criu,
		network, rules, forwarding, lowPorts,
		registries, policy, logins,
		inotify, openFiles,
	}
	r := Report{User: m.User}
	for _, check := range checks {
		r.Checks = append(r.Checks, check(m)...)
	}
	for _, f := range r.Checks {
		switch f.Status {
		case OK:
			r.OK++
		case Warning:
			r.Warnings++
		case Missing:
			r.Missing++
		}
	}
	return r
}

// finding begins one that is in order.
func finding(check, found, why string) Finding {
	return Finding{Check: check, Status: OK, Found: found, Why: why}
}

// but is the finding, which is not in order for a reason of its own, and what mends that.
func (f Finding) but(s Status, why string, fix ...string) []Finding {
	f.Status, f.Why, f.Fix = s, why, fix
	return []Finding{f}
}

func (f Finding) alone() []Finding { return []Finding{f} }

// sudo is a command as the user must write it to run it as root.
func (m Machine) sudo(command string) string {
	if m.User.root() {
		return command
	}
	return "sudo " + command
}

// write is a command that appends a line to a file of root's.
func (m Machine) write(line, file string) string {
	if m.User.root() {
		return fmt.Sprintf("echo %s >> %s", quote(line), file)
	}
	return fmt.Sprintf("echo %s | sudo tee -a %s", quote(line), file)
}

// sysctl is a command that sets a sysctl, now and after the next boot (sysctl.d(5)).
func (m Machine) sysctl(key, value string) string {
	return m.write(key+" = "+value, "/etc/sysctl.d/99-pcompose.conf") + " && " + m.sudo("sysctl --system")
}

// quote is a word for a shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// install is the command that brings a program, by the package manager of the distribution. The name is that of Debian's
// package; other families have some under other names.
func (m Machine) install(debian string) string {
	renamed := map[string]map[string]string{
		"fedora": {"uidmap": "shadow-utils"},
		"suse":   {"uidmap": "shadow"},
		"arch":   {"uidmap": "shadow"},
		"alpine": {"uidmap": "shadow-uidmap"},
	}
	families := []struct{ family, command string }{
		{"debian", "apt install "}, {"fedora", "dnf install "}, {"suse", "zypper install "}, {"arch", "pacman -S "}, {"alpine", "apk add "},
	}
	for _, f := range families {
		if slices.ContainsFunc(m.Distribution, func(id string) bool { return strings.HasPrefix(id, f.family) }) {
			name := debian
			if other := renamed[f.family][debian]; other != "" {
				name = other
			}
			return m.sudo(f.command + name)
		}
	}
	return "# install " + debian + " with the package manager of this system"
}
