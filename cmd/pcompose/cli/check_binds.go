package cli

import (
	"fmt"
	"os"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/userns"
	"github.com/pcompose/pcompose/pod"
)

// checkedBind is a bind mount as --format json has it.
type checkedBind struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Path   string `json:"path"`
	Source string `json:"source"`
	Mode   string `json:"mode"`
	// UID and GID are the owner's in the container, 65534 for who is none of its user namespace.
	UID      int           `json:"uid"`
	GID      int           `json:"gid"`
	User     string        `json:"user"`
	Access   engine.Access `json:"access"`
	ReadOnly bool          `json:"readOnly"`
	Fix      []string      `json:"fix,omitempty"`

	bind engine.Bind
}

// enough says whether the container's user may do there what the mount is for, as far as is known.
func (b checkedBind) enough() bool {
	return b.Access == engine.AccessUnknown || b.Access == engine.AccessWrite || b.Access == engine.AccessRead && b.ReadOnly
}

// checkBinds finds what the bind mounts of a project are to its containers. A user's are seen from the namespace of their pods:
// where there cannot be one there are none.
func checkBinds(env *Env, project *compose.Project, spec pod.Spec) ([]checkedBind, error) {
	all := []checkedBind{}
	if os.Geteuid() != 0 {
		return all, nil
	}
	e, err := env.open()
	if err != nil {
		return nil, err
	}
	defer e.Close()
	for _, c := range spec.Containers {
		if c.Replica != 1 {
			continue
		}
		binds, err := engine.Binds(e, c)
		if err != nil {
			continue // its user namespace cannot be made, which up tells
		}
		for _, b := range binds {
			at, path := bindPlace(project, c.Service, b.Target)
			found := checkedBind{
				File: at.File, Line: at.Line, Column: at.Column, Path: path, Source: b.Source, Mode: b.Mode.String(), UID: b.UID, GID: b.GID,
				User: b.User, Access: b.Access, ReadOnly: b.ReadOnly, bind: b,
			}
			if !found.enough() {
				found.Fix = bindFixes(c, b)
			}
			all = append(all, found)
		}
	}
	return all, nil
}

func bindPlace(project *compose.Project, service, target string) (compose.Position, string) {
	for i, v := range project.Model.Services[service].Volumes {
		if v.Target == target {
			path := fmt.Sprintf("services.%s.volumes[%d]", service, i)
			return project.Places.At(path), path
		}
	}
	path := "services." + service
	return project.Places.At(path), path
}

// bindFixes are what lets the container's user in, each by itself.
func bindFixes(c pod.Container, b engine.Bind) []string {
	shared := c.Isolation.User.Mode == pod.UserNSPod
	var fixes []string
	switch {
	case b.Foreign && userns.Rootless():
		return []string{fmt.Sprintf("sudo chown -R %d:%d %s  # it belongs to none of your IDs", userns.UID(), userns.GID(), b.Source)}
	case b.Foreign || b.Host == "":
		return nil
	case b.Mine && shared:
		var uid, gid int
		if _, err := fmt.Sscanf(b.User, "%d:%d", &uid, &gid); err == nil {
			fixes = append(fixes, fmt.Sprintf(`userns_mode: "keep-id:uid=%d,gid=%d"  # in the service: your files are its user's there`, uid, gid))
		}
	}
	if userns.Rootless() {
		return append(fixes, fmt.Sprintf("pcompose run --rm -T --no-deps --user 0:0 --entrypoint chown %s -R %s %s  # an ID of /etc/subuid owns it then", c.Service, b.User, b.Target))
	}
	return append(fixes, fmt.Sprintf("chown -R %s %s", b.Host, b.Source))
}

// printBinds prints those that containers cannot use as they mean to, and those of which that is not known.
func printBinds(env *Env, all []checkedBind) {
	for _, b := range all {
		if b.enough() && !b.bind.Named {
			continue
		}
		owner, may := fmt.Sprintf("is %d:%d's in the container", b.UID, b.GID), "write"
		if b.bind.Mine {
			owner = "is yours, and " + owner[len("is "):]
		}
		if b.bind.Foreign {
			owner = fmt.Sprintf("is of a user whom the container does not have, and so nobody's (%d) there", b.UID)
		}
		if b.Access == engine.AccessNone {
			may = "read"
		}
		at := compose.Position{File: b.File, Line: b.Line, Column: b.Column}
		if b.bind.Named {
			env.ui.Line("%s: %s: %s (%s) %s: it runs as %q, whose number only its image knows, and that is not in the store or does not have it: pull it and check again",
				at, b.Path, b.Source, b.Mode, owner, b.User)
			continue
		}
		env.ui.Line("%s: %s: %s (%s) %s: it runs as %s and may not %s it", at, b.Path, b.Source, b.Mode, owner, b.User, may)
		for _, fix := range b.Fix {
			env.ui.Line("  fix: %s", fix)
		}
	}
}
