package load

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/format"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"
	"github.com/mattn/go-shellwords"
	"go.yaml.in/yaml/v4"
)

// formatRule checks the text at a path below a service; the schema knows it only as a string.
type formatRule struct {
	path  []string
	check func(string) string
}

// formatRules returns why a text is wrong, "" when it is not.
func formatRules() []formatRule {
	rules := []formatRule{
		{[]string{"image"}, badImage},
		{[]string{"command"}, badCommand},
		{[]string{"entrypoint"}, badCommand},
		{[]string{"restart"}, badRestart},
		{[]string{"deploy", "restart_policy", "condition"}, func(s string) string {
			return notOneOf(s, "none", "on-failure", "any", "unless-stopped", "always", "no")
		}},
		{[]string{"logging", "options", "max-size"}, badBytes},
		{[]string{"logging", "options", "max-file"}, badNumber},
	}
	for _, key := range []string{"mem_limit", "mem_reservation", "memswap_limit", "shm_size"} {
		rules = append(rules, formatRule{[]string{key}, badBytes})
	}
	for _, key := range []string{"limits", "reservations"} {
		rules = append(rules, formatRule{[]string{"deploy", "resources", key, "memory"}, badBytes})
	}
	for _, key := range []string{"interval", "timeout", "start_period", "start_interval"} {
		rules = append(rules, formatRule{[]string{"healthcheck", key}, badDuration})
	}
	for _, key := range []string{"delay", "window"} {
		rules = append(rules, formatRule{[]string{"deploy", "restart_policy", key}, badDuration})
	}
	for _, key := range []string{"delay", "monitor"} {
		rules = append(rules, formatRule{[]string{"deploy", "update_config", key}, badDuration})
	}
	rules = slices.Concat(rules, valueRules(), limitRules(), specRules())
	return append(rules, formatRule{[]string{"stop_grace_period"}, badDuration},
		formatRule{[]string{"scale"}, badCount}, formatRule{[]string{"deploy", "replicas"}, badCount})
}

// formats checks the texts of all services of a mapping of services.
func (c checker) formats(services *yaml.Node) {
	if services == nil || services.Kind != yaml.MappingNode {
		return
	}
	for _, e := range entries(services) {
		service, keys := deref(e.value), []string{"services", e.key.Value}
		c.texts(service, keys)
		for i, hook := range listOf(child(service, "pre_start")) { // has the keys of a service
			c.texts(deref(hook), append(step(keys, "pre_start"), item(i)))
		}
	}
}

// texts checks the texts of a service.
func (c checker) texts(service *yaml.Node, keys []string) {
	for _, rule := range formatRules() {
		if n := child(service, rule.path...); n != nil && n.Kind == yaml.ScalarNode && jsonType(n) != "null" {
			c.format(n, slices.Concat(keys, rule.path), rule.check)
		}
	}
	c.items(service, step(keys, "ports"), badPort)
	c.items(service, step(keys, "volumes"), badVolume)
	c.items(service, step(keys, "volumes_from"), badVolumesFrom)
	c.items(service, step(keys, "extra_hosts"), badHost)
	c.items(service, step(keys, "environment"), badVariable)
	c.items(service, step(keys, "expose"), badExpose)
	c.items(service, step(keys, "devices"), badDevice)
	c.items(service, step(keys, "dns"), badAddress)
	c.items(service, step(keys, "tmpfs"), badTmpfs)
	c.addresses(service, keys)
	c.isolation(service, keys)
	c.spec(service, keys)
	c.mounts(service, keys)
	if test := child(service, "healthcheck", "test"); test != nil && test.Kind == yaml.SequenceNode && len(test.Content) > 0 {
		c.format(deref(test.Content[0]), append(keys, "healthcheck", "test"), func(s string) string { return notOneOf(s, "CMD", "CMD-SHELL", "NONE") })
	}
}

// items checks the scalars of a list below a service.
func (c checker) items(service *yaml.Node, keys []string, check func(string) string) {
	list := child(service, keys[len(keys)-1])
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	for i, n := range list.Content {
		if n = deref(n); n.Kind == yaml.ScalarNode {
			c.format(n, step(keys, item(i)), check)
		}
	}
}

// mounts checks the long forms of volumes, secrets and configs.
func (c checker) mounts(service *yaml.Node, keys []string) {
	for i, n := range list(child(service, "volumes")) {
		if n = deref(n); n.Kind == yaml.MappingNode && child(n, "type") != nil && !c.bad[n] {
			c.mount(n, append(step(keys, "volumes"), item(i)))
		}
	}
	for _, key := range []string{"secrets", "configs"} {
		for i, n := range list(child(service, key)) {
			if mode := child(n, "mode"); mode != nil && jsonType(mode) == "string" {
				c.format(mode, append(step(keys, key), item(i), "mode"), badMode)
			}
		}
	}
}

// format checks one text; what is wrong is left out of the model, where it would be the error that compose-go stops at.
func (c checker) format(n *yaml.Node, keys []string, check func(string) string) {
	if c.bad[n] {
		return
	}
	if why := check(c.value(n)); why != "" {
		c.bad[n] = true
		c.wrong(n, keys, why, "")
	}
}

func notOneOf(s string, known ...string) string {
	if slices.Contains(known, s) {
		return ""
	}
	return enumMessage(s, known)
}

// badImage parses a reference as every registry client does. "" is what an unset variable leaves; the missing image is reported for itself.
func badImage(s string) string {
	if _, err := reference.ParseAnyReference(s); err != nil && s != "" {
		return fmt.Sprintf("%q is not the name of an image: %s", s, strings.TrimPrefix(err.Error(), "invalid reference format: "))
	}
	return ""
}

func badRestart(s string) string {
	policy, count, counted := strings.Cut(s, ":")
	if _, err := strconv.ParseUint(count, 10, 31); counted && (err != nil || policy != types.RestartPolicyOnFailure) {
		return fmt.Sprintf("%q is no restart policy: a bound is written on-failure:3", s)
	}
	return notOneOf(policy, types.RestartPolicyNo, types.RestartPolicyAlways, types.RestartPolicyOnFailure, types.RestartPolicyUnlessStopped)
}

// badBytes reads sizes as compose-go does: k, m, g and t are powers of 1024, with or without b.
func badBytes(s string) string {
	var b types.UnitBytes
	if err := b.DecodeMapstructure(s); err != nil {
		return fmt.Sprintf("%q is no size: write bytes, or a number with k, m or g", s)
	}
	return ""
}

// badDuration reads durations as compose-go does, which knows days and weeks beside Go's units.
func badDuration(s string) string {
	var d types.Duration
	if err := d.DecodeMapstructure(s); err != nil {
		return fmt.Sprintf("%q is no duration: write a number with its unit, as in 500ms, 30s, 1m30s", s)
	}
	if d < 0 {
		return "must not be negative"
	}
	return ""
}

func badNumber(s string) string {
	if f, err := strconv.ParseFloat(s, 64); err != nil || f < 0 {
		return fmt.Sprintf("%q is no number", s)
	}
	return ""
}

func badCount(s string) string {
	if n, err := strconv.Atoi(s); err != nil || n < 0 {
		return fmt.Sprintf("must be a whole number of 0 or more, not %q", s)
	}
	return ""
}

// badPort reads the short form of ports:.
func badPort(s string) string {
	ports, err := types.ParsePortConfig(s)
	if err != nil {
		return fmt.Sprintf("%q is no port: write CONTAINER, HOST:CONTAINER or IP:HOST:CONTAINER, each a number or a range of 1 to 65535, with /udp where it is not TCP", s)
	}
	for _, p := range ports {
		if p.Target == 0 {
			return "the container port must be 1 to 65535, not 0"
		}
	}
	return ""
}

// badCommand splits a string form as compose-go will; no shell is involved.
func badCommand(s string) string {
	if _, err := shellwords.Parse(s); err != nil {
		return fmt.Sprintf("cannot split %q into words: a quote is not closed; write a list to have no quoting", s)
	}
	return ""
}

func badDevice(s string) string {
	parts := strings.Split(s, ":")
	if len(parts) > 3 || len(parts) == 3 && strings.Trim(parts[2], "rwm") != "" {
		return fmt.Sprintf("%q is no device: write SOURCE, SOURCE:TARGET or SOURCE:TARGET:rwm", s)
	}
	return ""
}

func badMode(s string) string {
	if _, err := strconv.ParseUint(s, 8, 12); err != nil {
		return fmt.Sprintf("%q is no mode: write it in octal, as in 0440", s)
	}
	return ""
}

// badExpose reads an item of expose:, which compose-go takes as any text.
func badExpose(s string) string {
	port, protocol, _ := strings.Cut(s, "/")
	from, to, isRange := strings.Cut(port, "-")
	a, err := strconv.ParseUint(from, 10, 16)
	b := a
	if isRange && err == nil {
		b, err = strconv.ParseUint(to, 10, 16)
	}
	if err != nil || a == 0 || b < a || !slices.Contains([]string{"", "tcp", "udp", "sctp"}, protocol) {
		return fmt.Sprintf("%q is no port: write a number or a range of 1 to 65535, with /udp where it is not TCP", s)
	}
	return ""
}

// badVolume reads the short form of volumes:. compose-go takes a relative target, which no runtime does.
func badVolume(s string) string {
	v, err := format.ParseVolume(s)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is no volume: write TARGET, SOURCE:TARGET or SOURCE:TARGET:OPTIONS", s)
	case !strings.HasPrefix(v.Target, "/"):
		return fmt.Sprintf("the target %q in the container must be an absolute path", v.Target)
	}
	return ""
}

func badHost(s string) string {
	hosts, err := types.NewHostsList([]string{s})
	if err != nil {
		return fmt.Sprintf("%q is no host: write NAME=ADDRESS", s)
	}
	for _, addresses := range hosts {
		for _, a := range addresses {
			if why := badHostAddress(a); why != "" {
				return why
			}
		}
	}
	return ""
}

// badVariable reads an item of a list of environment variables; a name alone passes the caller's value through.
func badVariable(s string) string {
	name, _, _ := strings.Cut(s, "=")
	if name == "" || strings.TrimSpace(name) != name {
		return fmt.Sprintf("%q is no variable: write NAME=VALUE without blanks around the name", s)
	}
	return ""
}
