package load

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/support"
)

// Finding is an attribute as it was written, with what becomes of it.
type Finding struct {
	At   compose.Position
	Path string
	// State is of the attribute, or where its value goes otherwise than others, of that.
	State support.State
	// Why it is not simply done; "" where it is.
	Why string
	// warned says that commands warn of it.
	warned bool
}

// Check is each attribute that a project's files have, in the order of the files, those of services that are not enabled too.
// What an anchor stands for in several places is there once. Keys beginning with x- are the user's own, but for podman-compose's
// and ours. refused are the problems that planner/desired has with the project.
func Check(project *compose.Project, refused []compose.Problem) []Finding {
	services := maps.Clone(project.Model.Services)
	maps.Copy(services, project.Model.DisabledServices)
	found := survey(project, services)
	for _, p := range refused {
		found = slices.DeleteFunc(found, func(f Finding) bool { return f.Path == p.Path })
		why := compose.Problem{Message: p.Message, Hint: p.Hint}.Error()
		found = append(found, Finding{At: p.At, Path: p.Path, State: support.Refused, Why: why})
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Why, b.Why))
	})
	return slices.CompactFunc(found, func(a, b Finding) bool { return a.At == b.At && a.Why == b.Why && (a.At.Line > 0 || a.Path == b.Path) })
}

// Unsupported has one warning for each key, and place of it, that a project has and pcompose does not carry out, in the order
// of the files. Services that are not enabled are left out.
func Unsupported(project *compose.Project) []compose.Problem {
	var all compose.Problems
	for _, f := range survey(project, project.Model.Services) {
		if f.warned {
			all = append(all, compose.Problem{At: f.At, Path: f.Path, Message: f.Why})
		}
	}
	return all.Sorted("")
}

// surveyor collects what becomes of what a project's files have.
type surveyor struct {
	project *compose.Project
	table   *support.Table
	found   []Finding
}

// survey looks at services and at all that is no service.
func survey(project *compose.Project, services types.Services) []Finding {
	u := &surveyor{project: project, table: support.New()}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		u.service(services[name])
		u.hooks(services[name])
		u.attachments(services[name])
	}
	u.networks()
	for _, p := range project.Ignored {
		if slices.ContainsFunc(slices.Collect(maps.Keys(services)), func(name string) bool { return strings.HasPrefix(p.Path, "services."+name+".") }) {
			u.found = append(u.found, Finding{At: p.At, Path: p.Path, State: support.NotDone, Why: p.Message, warned: true})
		}
	}
	u.attributes(services)
	return u.found
}

// attributes finds what becomes of each key; of one with a value that goes otherwise, that has been said.
func (u *surveyor) attributes(services types.Services) {
	limited, last := map[string]bool{}, "\x00"
	for _, f := range u.found {
		path := f.Path
		if strings.HasSuffix(path, "]") { // an item's is its list's
			path = path[:strings.LastIndex(path, "[")]
		}
		limited[path] = true
	}
	for _, place := range u.project.Places.All() {
		keys, path := place.Keys, compose.Path(place.Keys...)
		if strings.HasPrefix(path, last+".") || strings.HasPrefix(path, last+"[") || limited[path] || u.own(keys) {
			continue
		}
		if _, looked := services[keys[min(1, len(keys)-1)]]; keys[0] == "services" && len(keys) > 1 && !looked {
			continue
		}
		a, known := u.table.Find(keys...)
		if !known {
			a, last = &support.Attribute{Path: keys[len(keys)-1], State: support.NotDone}, path
		}
		if a != nil {
			u.found = append(u.found, Finding{At: place.At, Path: path, State: a.State, Why: a.Say(), warned: a.State == support.NotDone})
		}
	}
}

// own says whether keys are the user's own, or below such. Those of podman-compose were written to have an effect.
func (u *surveyor) own(keys []string) bool {
	for i, k := range keys {
		if !strings.HasPrefix(k, "x-") || strings.HasPrefix(k, "x-podman") || strings.HasPrefix(k, "x-pcompose") {
			continue
		}
		if _, known := u.table.Find(keys[:i+1]...); !known {
			return true
		}
	}
	return false
}

// value is one that goes otherwise than its attribute does: a row's key below a base, with items for each "*" in it. One item
// more is that of a list.
type value struct {
	base, key string
	items     []string
}

// limit tells of a value by the row's limit of that name.
func (u *surveyor) limit(v value, name string, words ...any) {
	row := "services.*."
	if strings.HasPrefix(v.base, "networks.") {
		row = "networks.*."
	}
	path, items := v.base+v.key, v.items
	for strings.Contains(path, "*") {
		path, items = strings.Replace(path, "*", items[0], 1), items[1:]
	}
	at := path
	if len(items) > 0 {
		at += "." + items[0]
	}
	l := u.table.Limit(row+v.key, name)
	u.found = append(u.found, Finding{At: u.project.At(at), Path: path, State: l.State, Why: l.Say(words...), warned: !l.Quiet})
}

// service tells of values of a service, and of a pre_start hook, which has the same keys.
func (u *surveyor) service(s types.ServiceConfig) {
	base := "services." + s.Name + "."
	for _, o := range s.SecurityOpt {
		if name, _, _ := strings.Cut(strings.ReplaceAll(o, "=", ":"), ":"); name == "credentialspec" {
			u.limit(value{base, "security_opt", []string{o}}, "windows", name)
		}
	}
	if s.Isolation != "" && s.Isolation != "default" {
		u.limit(value{base, "isolation", nil}, "windows")
	}
	if s.Deploy != nil && !slices.Contains([]string{"", "replicated", "global"}, s.Deploy.Mode) {
		u.limit(value{base, "deploy.mode", nil}, "job", s.Deploy.Mode)
	}
	if s.Build != nil {
		u.build(*s.Build, base)
	}
	if s.NetworkMode == "bridge" || s.NetworkMode == "default" {
		u.limit(value{base, "network_mode", nil}, "bridge")
	}
	for _, v := range s.Volumes {
		if !slices.Contains([]string{types.VolumeTypeBind, types.VolumeTypeVolume, types.VolumeTypeTmpfs, types.VolumeTypeImage}, v.Type) {
			u.limit(value{base, "volumes", []string{v.Target}}, "type", v.Type)
		}
	}
	limited := ""
	switch {
	case s.NetworkMode == "host" || s.NetworkMode == "none":
		limited = s.NetworkMode
	case compose.Inward(u.project.Model, s):
		limited = "internal"
	}
	for _, p := range s.Ports {
		if keys := compose.PortKeys(s.Name, p); limited != "" {
			u.limit(value{base, "ports", keys[len(keys)-1:]}, limited)
		}
	}
	u.logging(s.Logging, base)
	u.restart(s, base)
	u.updates(s, base)
}

// build tells of values of a build that go otherwise.
func (u *surveyor) build(b types.BuildConfig, base string) {
	if !slices.Contains([]string{"", "default", "host", "none"}, b.Network) {
		u.limit(value{base, "build.network", nil}, "mode", b.Network)
	}
	if len(b.Platforms) > 1 {
		u.limit(value{base, "build.platforms", nil}, "others")
	}
	if b.Isolation != "" && b.Isolation != "default" {
		u.limit(value{base, "build.isolation", nil}, "windows")
	}
	if b.Provenance != "" && b.Provenance != "false" {
		u.limit(value{base, "build.provenance", nil}, "attestation")
	}
	if b.SBOM != "" && b.SBOM != "false" {
		u.limit(value{base, "build.sbom", nil}, "attestation")
	}
}

func (u *surveyor) logging(l *types.LoggingConfig, base string) {
	if l == nil {
		return
	}
	if !slices.Contains([]string{"", "json-file", "k8s-file", "local", "none"}, l.Driver) {
		u.limit(value{base, "logging.driver", nil}, "driver", l.Driver)
	}
	u.options(value{base, "logging.options.*", nil}, l.Options, "max-size", "max-file")
}

// restart tells of one that has no effect, as in docker compose, or less than a daemon gives it.
func (u *surveyor) restart(s types.ServiceConfig, base string) {
	switch {
	case s.Restart == "":
	case s.Deploy != nil && s.Deploy.RestartPolicy != nil:
		u.limit(value{base, "restart", nil}, "policy")
	case s.Restart == types.RestartPolicyAlways || s.Restart == types.RestartPolicyUnlessStopped:
		u.limit(value{base, "restart", nil}, "boot")
	}
}

// updates tells of an update that cannot go as the file says: two containers are not at one place at once, and what has been
// stopped is not brought back.
func (u *surveyor) updates(s types.ServiceConfig, base string) {
	if s.Deploy == nil || s.Deploy.UpdateConfig == nil {
		return
	}
	if s.Deploy.UpdateConfig.Order != "start-first" {
		if s.Deploy.UpdateConfig.FailureAction == "rollback" {
			u.limit(value{base, "deploy.update_config.failure_action", nil}, "stopped")
		}
		return
	}
	fixed := ""
	if s.NetworkMode != "" && s.NetworkMode != "bridge" && s.NetworkMode != "default" {
		fixed = "network_mode"
	}
	for _, key := range slices.Sorted(maps.Keys(s.Networks)) {
		switch a := s.Networks[key]; {
		case a == nil || fixed != "":
		case a.Ipv4Address != "":
			fixed = "ipv4_address"
		case a.Ipv6Address != "":
			fixed = "ipv6_address"
		case a.MacAddress != "":
			fixed = "mac_address"
		case len(a.LinkLocalIPs) > 0:
			fixed = "link_local_ips"
		}
	}
	if fixed != "" {
		u.limit(value{base, "deploy.update_config.order", nil}, "fixed", fixed)
	}
}

// attachments tells of a service's places on networks, and of links that lead to none of them.
func (u *surveyor) attachments(s types.ServiceConfig) {
	base := "services." + s.Name + "."
	external := func(key string) bool { return bool(u.project.Model.Networks[key].External) }
	if len(s.ExternalLinks) > 0 && !slices.ContainsFunc(slices.Collect(maps.Keys(s.Networks)), external) {
		u.limit(value{base, "external_links", nil}, "apart")
	}
	for _, key := range slices.Sorted(maps.Keys(s.Networks)) {
		a := s.Networks[key]
		if a == nil {
			continue
		}
		if a.UseServiceNameAlias != nil && !*a.UseServiceNameAlias {
			u.limit(value{base, "networks.*.use_service_name_alias", []string{key}}, "false")
		}
		u.options(value{base, "networks.*.driver_opts.*", []string{key}}, a.DriverOpts, "com.docker.network.endpoint.sysctls")
	}
}

// networks tells of what of a network a pod does not have.
func (u *surveyor) networks() {
	for _, key := range slices.Sorted(maps.Keys(u.project.Model.Networks)) {
		n, base := u.project.Model.Networks[key], "networks."+key+"."
		if !slices.Contains([]string{"", "bridge", "default"}, n.Driver) {
			u.limit(value{base, "driver", nil}, "driver", n.Driver)
		}
		if !slices.Contains([]string{"", "default"}, n.Ipam.Driver) {
			u.limit(value{base, "ipam.driver", nil}, "driver", n.Ipam.Driver)
		}
		u.options(value{base, "driver_opts.*", nil}, n.DriverOpts, "mtu", "com.docker.network.driver.mtu")
		u.options(value{base, "ipam.options.*", nil}, n.Ipam.Options)
	}
}

// options tells of a driver's options, but those that are known.
func (u *surveyor) options(v value, options map[string]string, known ...string) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !slices.Contains(known, name) {
			u.limit(value{v.base, v.key, append(slices.Clip(v.items), name)}, "option", name)
		}
	}
}
