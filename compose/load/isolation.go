package load

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/pod"
)

// limitRules are bounds of numbers that compose-go takes as they are and that creating the container would stop at.
func limitRules() []formatRule {
	limits := []string{"deploy", "resources", "limits"}
	return []formatRule{
		{[]string{"mem_limit"}, badMemory},
		{step(limits, "memory"), badMemory},
		{[]string{"pids_limit"}, badPids},
		{step(limits, "pids"), badPids},
		{[]string{"userns_mode"}, badUserNS},
		{[]string{"cpus"}, badCPUs},
		{step(limits, "cpus"), badCPUs},
	}
}

// isolation checks the names of capabilities, ulimits and sysctls of a service.
func (c checker) isolation(service *yaml.Node, keys []string) {
	for _, key := range []string{"cap_add", "cap_drop"} {
		c.named(child(service, key), step(keys, key), unknownCapability)
	}
	c.named(child(service, "ulimits"), step(keys, "ulimits"), unknownUlimit)
	c.named(child(service, "sysctls"), step(keys, "sysctls"), badSysctl)
}

// named checks names: a mapping's keys, or a list's items up to "=". What is wrong is left out of the model, as format does.
func (c checker) named(n *yaml.Node, keys []string, check func(name string) (why, hint string)) {
	if n == nil {
		return
	}
	if n.Kind == yaml.MappingNode {
		for _, e := range entries(n) {
			if why, hint := check(e.key.Value); why != "" && !c.bad[e.value] && !strings.HasPrefix(e.key.Value, "x-") {
				c.bad[e.value] = true
				c.wrong(e.key, keys, why, hint)
			}
		}
		return
	}
	for i, v := range list(n) {
		if v = deref(v); v.Kind != yaml.ScalarNode || c.bad[v] {
			continue
		}
		name, _, _ := strings.Cut(c.value(v), "=")
		if why, hint := check(name); why != "" {
			c.bad[v] = true
			c.wrong(v, step(keys, item(i)), why, hint)
		}
	}
}

// unknownCapability offers the nearest as the user writes them: with CAP_ or without.
func unknownCapability(name string) (why, hint string) {
	if _, ok := pod.Capability(name); ok {
		return "", ""
	}
	known := append(pod.Capabilities(), "CAP_"+pod.AllCapabilities)
	if !strings.HasPrefix(strings.ToUpper(name), "CAP_") {
		for i, full := range known {
			known[i] = strings.TrimPrefix(full, "CAP_")
		}
	}
	return fmt.Sprintf("unknown capability %q", name), hintOf(name, known, "capabilities(7) lists them")
}

func unknownUlimit(name string) (why, hint string) {
	known := pod.UlimitNames()
	if slices.Contains(known, name) {
		return "", ""
	}
	return fmt.Sprintf("unknown ulimit %q", name), hintOf(name, known, "known are "+strings.Join(known, ", "))
}

// badSysctl compares what is below kernel. by itself: the prefix would make strangers look near.
func badSysctl(name string) (why, hint string) {
	_, err := pod.Sysctl(name)
	if err == nil {
		return "", ""
	}
	known := pod.KernelSysctls()
	if rest, ok := strings.CutPrefix(name, "kernel."); ok {
		for i, key := range known {
			known[i] = strings.TrimPrefix(key, "kernel.")
		}
		if near := compose.Nearest(rest, known); near != "" && name != "kernel.hostname" {
			hint = fmt.Sprintf("did you mean %q?", "kernel."+near)
		}
	} else {
		hint = compose.DidYouMean(name, known)
	}
	return fmt.Sprintf("the sysctl %q cannot be set: %s", name, err), hint
}

// hintOf offers the nearest name, else what there is to say.
func hintOf(name string, known []string, otherwise string) string {
	if hint := compose.DidYouMean(name, known); hint != "" {
		return hint
	}
	return otherwise
}

// badMemory leaves what is no size to badBytes; 0 is no limit.
func badMemory(s string) string {
	var b types.UnitBytes
	if err := b.DecodeMapstructure(s); err == nil && b != 0 && b < pod.MinMemory {
		return fmt.Sprintf("the memory limit %q is less than 6m, the least that a container can start with", s)
	}
	return ""
}

func badUserNS(s string) string {
	if _, err := pod.ParseUserNS(s); err != nil {
		return err.Error()
	}
	return ""
}

// badPids leaves what is no number to the schema; 0 is the default and -1 no bound.
func badPids(s string) string {
	if n, err := strconv.ParseInt(s, 0, 64); err == nil && n < -1 {
		return fmt.Sprintf("must be a number of processes, or -1 for no bound, not %d", n)
	}
	return ""
}

// badCPUs takes more than the machine has: the file may be meant for another one.
func badCPUs(s string) string {
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsNaN(f) || math.IsInf(f, 0):
		return fmt.Sprintf("%q is no number", s)
	case f < 0:
		return fmt.Sprintf("must be a number of CPUs, as in 0.5 or 2, not %s", s)
	}
	return ""
}
