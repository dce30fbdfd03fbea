package ui

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/pcompose/pcompose/pod"
)

// Container is a container as `ps` shows it: the fields of `docker compose ps --format json`, by their names.
type Container struct {
	Command      string
	CreatedAt    string
	ExitCode     int
	Health       string
	ID           string
	Image        string
	Labels       string
	LocalVolumes string
	Mounts       string
	Name         string
	Names        string
	Networks     string
	Ports        string
	Project      string
	Publishers   []Publisher
	RunningFor   string
	Service      string
	Size         string
	State        string
	Status       string
	labels       map[string]string
}

// Label is the value of a label, "" for none; templates call it.
func (c Container) Label(name string) string { return c.labels[name] }

// Publisher is a published or declared port of a Container.
type Publisher struct {
	URL           string
	TargetPort    int
	PublishedPort int
	Protocol      string
}

// Headers are the titles of a Container's fields in a table.
func (Container) Headers() map[string]string {
	return map[string]string{
		"Command": "COMMAND", "CreatedAt": "CREATED AT", "ExitCode": "EXIT CODE", "Health": "HEALTH", "ID": "CONTAINER ID",
		"Image": "IMAGE", "Labels": "LABELS", "LocalVolumes": "LOCAL VOLUMES", "Mounts": "MOUNTS", "Name": "NAME",
		"Names": "NAMES", "Networks": "NETWORKS", "Ports": "PORTS", "Project": "PROJECT", "Publishers": "PUBLISHERS",
		"RunningFor": "CREATED", "Service": "SERVICE", "Size": "SIZE", "State": "STATE", "Status": "STATUS",
	}
}

// networkNames are the networks a container is on, as docker names them.
func networkNames(project pod.Status, c pod.ContainerStatus) string {
	if c.NetworkMode != "" {
		return string(c.NetworkMode)
	}
	var names []string
	for _, a := range c.Networks {
		name := project.Name + "_" + a.Network
		if project.Spec != nil {
			for _, n := range project.Spec.Networks {
				if n.Key == a.Network {
					name = n.Name
				}
			}
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// Describe is a container of a pod as it is shown at a moment. Full keeps IDs and commands whole.
func Describe(project pod.Status, c pod.ContainerStatus, now time.Time, full bool) Container {
	out := Container{
		Command: command(c, full), CreatedAt: c.CreatedAt.Format("2006-01-02 15:04:05 -0700 MST"), ExitCode: c.Run.ExitCode,
		Health: string(c.Run.Health), ID: c.ID, Image: c.Image, Labels: labels(c.Labels), labels: c.Labels, Name: c.Name, Names: c.Name,
		Project: project.Name, Service: c.Service, Size: "0B", State: state(c.Run.State), Status: StatusLine(c.Run, now),
		RunningFor: units.HumanDuration(now.Sub(c.CreatedAt)) + " ago", Networks: networkNames(project, c),
	}
	if !full && len(out.ID) > 12 {
		out.ID = out.ID[:12]
	}
	volumes := 0
	var mounts []string
	for _, m := range c.Mounts {
		source := cmp.Or(m.Source, c.Anonymous[m.Target])
		if m.Type == pod.MountVolume {
			volumes++
		}
		if source != "" {
			mounts = append(mounts, cutUnless(full, source, 15))
		}
	}
	out.Mounts, out.LocalVolumes = strings.Join(mounts, ","), strconv.Itoa(volumes)
	out.Publishers = publishers(project, c)
	out.Ports = Ports(out.Publishers)
	return out
}

func cutUnless(full bool, s string, n int) string {
	if full {
		return s
	}
	return cut(s, n)
}

// command is what the container runs, in quotes; arguments with spaces have quotes of their own, as docker has it.
func command(c pod.ContainerStatus, full bool) string {
	words := slices.Clone(c.Argv)
	for i, word := range words {
		if i > 0 && strings.Contains(word, " ") {
			words[i] = "'" + word + "'"
		}
	}
	return strconv.Quote(cutUnless(full, strings.Join(words, " "), 20))
}

func labels(m map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+"="+m[k])
	}
	return strings.Join(list, ",")
}

// state is a container's state in docker's words, which has none for a creation that was interrupted.
func state(s pod.State) string {
	if s == pod.StatePartial {
		return string(pod.StateCreated)
	}
	return string(s)
}

// StatusLine is a run in docker's words: "Up 5 minutes (healthy)", "Exited (1) 2 seconds ago".
func StatusLine(run pod.Run, now time.Time) string {
	code := strconv.Itoa(run.ExitCode)
	if run.ExitCode == pod.UnknownExit {
		code = "unknown"
	}
	ended := ""
	if !run.FinishedAt.IsZero() {
		ended = " " + units.HumanDuration(now.Sub(run.FinishedAt)) + " ago"
	}
	up := "Up " + units.HumanDuration(now.Sub(run.StartedAt))
	switch run.State {
	case pod.StateRunning:
		switch run.Health {
		case "":
			return up
		case pod.HealthStarting:
			return up + " (health: starting)"
		}
		return fmt.Sprintf("%s (%s)", up, run.Health)
	case pod.StatePaused:
		return up + " (Paused)"
	case pod.StateRestarting:
		return "Restarting (" + code + ")" + ended
	case pod.StateExited:
		return "Exited (" + code + ")" + ended
	case pod.StateCreated, pod.StatePartial:
		return "Created"
	}
	return string(run.State)
}

// PodPorts are all published ports of a pod, as Ports prints them.
func PodPorts(project pod.Status) string {
	var list []Publisher
	for _, p := range project.Ports {
		list = append(list, Publisher{cmp.Or(p.HostIP, "0.0.0.0"), int(p.ContainerPort), int(p.HostPort), p.Protocol})
	}
	sortPublishers(list)
	return Ports(list)
}

// publishers are a container's ports: published ones as they are bound, one for IPv4 and one for IPv6 where they
// are bound to every address, and declared ones.
func publishers(project pod.Status, c pod.ContainerStatus) []Publisher {
	list, seen := []Publisher{}, map[pod.Listen]bool{}
	if c.Run.State.Alive() {
		for _, p := range project.Ports {
			if p.Container != c.Name {
				continue
			}
			seen[pod.Listen{Port: p.ContainerPort, Protocol: p.Protocol}] = true
			addresses := []string{p.HostIP}
			if p.HostIP == "" {
				addresses = []string{"0.0.0.0", "::"}
			}
			for _, a := range addresses {
				list = append(list, Publisher{a, int(p.ContainerPort), int(p.HostPort), p.Protocol})
			}
		}
		for _, l := range c.Listens {
			if !seen[l] && !c.Inward(project.Topology.Networks) { // docker has none of those either
				seen[l] = true
				list = append(list, Publisher{"", int(l.Port), 0, l.Protocol})
			}
		}
	}
	sortPublishers(list)
	return list
}

func sortPublishers(list []Publisher) {
	slices.SortStableFunc(list, func(a, b Publisher) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.URL, b.URL), cmp.Compare(a.TargetPort, b.TargetPort), cmp.Compare(a.PublishedPort, b.PublishedPort))
	})
}

// Ports are publishers as docker prints them, neighbours that are the same on both sides as a range:
// "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp", "0.0.0.0:8000-8002->8000-8002/tcp", "5432/tcp".
func Ports(list []Publisher) string {
	var parts []string
	for i := 0; i < len(list); {
		first, last := list[i], list[i]
		for i++; i < len(list) && follows(last, list[i]); i++ {
			last = list[i]
		}
		target := span(first.TargetPort, last.TargetPort) + "/" + first.Protocol
		if first.PublishedPort == 0 {
			parts = append(parts, target)
			continue
		}
		host := first.URL
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		parts = append(parts, host+":"+span(first.PublishedPort, last.PublishedPort)+"->"+target)
	}
	return strings.Join(parts, ", ")
}

// follows says whether b continues the range that a ends.
func follows(a, b Publisher) bool {
	grouped := b.PublishedPort == 0 && a.PublishedPort == 0 || b.PublishedPort == b.TargetPort && a.PublishedPort == a.TargetPort
	return grouped && a.URL == b.URL && a.Protocol == b.Protocol && b.TargetPort == a.TargetPort+1
}

func span(from, to int) string {
	if from == to {
		return strconv.Itoa(from)
	}
	return fmt.Sprintf("%d-%d", from, to)
}

// Containers prints the table of `ps`, or the containers in the format asked for: table, json (one object a line),
// or a Go template.
func (u *UI) Containers(format string, list []Container) error {
	switch format {
	case "", "table":
		rows := make([][]string, len(list))
		for i, c := range list {
			rows[i] = []string{c.Name, c.Image, c.Command, c.Service, c.RunningFor, c.Status, c.Ports}
		}
		return u.Table(Narrow, []string{"NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"}, rows)
	case "json":
		for _, c := range list {
			if err := u.JSONLine(c); err != nil {
				return err
			}
		}
		return nil
	}
	return Template(u, format, Container{}.Headers(), list)
}
