package planner_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// The notation of testdata/plan, one object a line, in a pod of project shop:
//
//	web*2 image=nginx env=A:1 after=db:healthy,cache:started:optional:restart ports=8080:80,9000-9009:90 mount=data:/data
//	volume data external
//	network back [internal] [external]   and network=front,back of a container
//	idle worker             scaled to none
//	disabled debug          of a profile that is not active
//	provider db type=cloud after=net
//
// Of an observed pod, beside that:
//
//	same                    all that is desired is there and runs, with its images, volumes and ports
//	up                      only namespaces and supervisor
//	web state=exited:3      all of web, made if not there already; web-2 for one of them
//	web-1.new successor     a successor that a plan left; leaving: one that gave way
//	gone web                not there after all
//	image nginx id=2 listens=80
//	ports 8080:80@web-1     exactly these are published
//	taken 8080 [free=8081] [stop=docker_stop_web] nginx (pid 812)
//	denied web-2 80 web-1   could not be bound, and who had it
//	made data device=/a     what the volume was made as
//	secret pw 1             in podman's store, and its version
//	foreign other-db-1      a container of another project
//	network back [internal] as a command made it on the machine
//	provided db URL=x raw:KEY=y stops
//	no-program cloud WHERE
//	no-runtime WHY          the machine cannot start a container

// desired parses a pod as it should be.
func desired(text string) pod.Spec {
	spec := pod.Spec{Name: "shop", Cells: []pod.Cell{{Name: pod.DefaultCell, Resolver: true}}}
	for words := range lines(text) {
		switch words[0] {
		case "volume":
			spec.Volumes = append(spec.Volumes, volume(words))
		case "network":
			spec.Networks = append(spec.Networks, network(words))
		case "idle":
			spec.Idle = append(spec.Idle, words[1])
		case "provider":
			spec.Providers = append(spec.Providers, provider(words))
		case "disabled":
			spec.Disabled = append(spec.Disabled, words[1])
		default:
			service, n, _ := strings.Cut(words[0], "*")
			for i := 1; i <= max(atoi(n), 1); i++ {
				c := replica(service, i)
				for _, w := range words[1:] {
					key, value, _ := strings.Cut(w, "=")
					set(&c, key, value)
				}
				spec.Containers = append(spec.Containers, c)
			}
		}
	}
	slices.SortFunc(spec.Containers, func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	return spec
}

// provider is NAME [type=TYPE] [after=NAME,...].
func provider(words []string) pod.Provider {
	p := pod.Provider{Service: words[1], Type: "cloud"}
	for _, w := range words[2:] {
		switch key, value, _ := strings.Cut(w, "="); key {
		case "type":
			p.Type = value
		case "after":
			p.After = strings.Split(value, ",")
		}
	}
	return p
}

// provided is NAME [VARIABLE=VALUE] [raw:VARIABLE=VALUE] [stops], of a provider that is wanted or of another.
func provided(words []string, want pod.Spec) pod.ProviderStatus {
	s := pod.ProviderStatus{Provider: provider(words[:2]), Variables: map[string]string{}, Raw: map[string]string{}}
	for _, p := range want.Providers {
		if p.Service == words[1] {
			s.Provider = p
		}
	}
	for _, w := range words[2:] {
		key, value, _ := strings.Cut(w, "=")
		name, raw := strings.CutPrefix(key, "raw:")
		switch {
		case w == "stops":
			s.Stops = true
		case raw:
			s.Raw[name] = value
		default:
			s.Variables[key] = value
		}
	}
	return s
}

// volume is NAME [external] [device=PATH] [label=KEY:VALUE] [project=NAME].
func volume(words []string) pod.Volume {
	v := pod.Volume{Name: words[1], External: slices.Contains(words, "external"), Labels: map[string]string{pod.LabelProject: "shop"}}
	for _, w := range words[2:] {
		switch key, value, _ := strings.Cut(w, "="); key {
		case "device":
			v.DriverOpts = map[string]string{"device": value}
		case "label":
			k, label, _ := strings.Cut(value, ":")
			v.Labels[k] = label
		case "project":
			v.Labels[pod.LabelProject] = value
		}
	}
	return v
}

func replica(service string, n int) pod.Container {
	return pod.Container{
		Name: fmt.Sprintf("shop-%s-%d", service, n), Service: service, Replica: n, Cell: pod.DefaultCell,
		Image: service, Pull: pod.PullMissing,
	}
}

// observed parses a pod as it is; want is what same means.
func observed(text string, want pod.Spec) pod.Status {
	s := pod.Status{Name: "shop", Images: map[string]pod.Image{}}
	for words := range lines(text) {
		see(&s, words, want)
	}
	slices.SortFunc(s.Containers, func(a, b pod.ContainerStatus) int { return strings.Compare(a.Name, b.Name) })
	return s
}

func see(s *pod.Status, words []string, want pod.Spec) {
	is := func(c pod.ContainerStatus) bool {
		return len(words) > 1 && (c.Service == words[1] || c.Name == "shop-"+words[1])
	}
	switch words[0] {
	case "same":
		s.Up, s.Spec, s.Ports, s.Topology = true, &want, want.Ports(), want.Topology()
		for _, v := range want.Volumes {
			s.Volumes = append(s.Volumes, v.Name)
		}
		for _, c := range want.Containers {
			for _, image := range c.Images() {
				s.Images[image] = pod.Image{ID: "1"}
			}
			s.Containers = append(s.Containers, status(c))
		}
	case "up":
		s.Up, s.Spec = true, &want
		s.Topology.Cells = want.Cells
	case "provided":
		s.Providers = append(s.Providers, provided(words, want))
	case "no-program":
		s.NoProgram = map[string]pod.Search{words[1]: {Where: strings.Join(words[2:], " ")}}
	case "no-runtime":
		s.NoRuntime = strings.Join(words[1:], " ")
	case "down":
		s.Up, s.Ports = false, nil
	case "gone":
		s.Containers = slices.DeleteFunc(s.Containers, is)
		s.Volumes = slices.DeleteFunc(s.Volumes, func(v string) bool { return v == words[1] })
		delete(s.Images, words[1])
	case "foreign":
		s.Foreign = words[1:]
	case "network":
		n := network(words)
		n.Pools = []pod.Pool{{Subnet: "10.9.0.0/24", Gateway: "10.9.0.1"}}
		s.Networks = map[string]pod.Found{n.Name: {Network: n, Made: true}}
	case "made":
		if s.MadeAs == nil {
			s.MadeAs = map[string]pod.Volume{}
		}
		s.MadeAs[words[1]] = volume(words)
	case "secret":
		s.Secrets = map[string]string{words[1]: words[2]}
	case "volume":
		s.Volumes = append(s.Volumes, words[1])
	case "image":
		image := pod.Image{ID: "1"}
		for _, w := range words[2:] {
			switch key, value, _ := strings.Cut(w, "="); key {
			case "id":
				image.ID = value
			case "listens":
				image.Listens = listens(strings.Split(value, ","))
			}
		}
		s.Images[words[1]] = image
	case "ports":
		s.Ports = ports(words[1:], "")
	case "denied":
		service, _, _ := strings.Cut(words[1], "-")
		s.Denied = append(s.Denied, pod.Denial{Container: "shop-" + words[1], Service: service, Listen: listens(words[2:3])[0], By: "shop-" + words[3]})
	case "taken":
		s.Taken = append(s.Taken, taken(words))
	default:
		seeContainer(s, words)
	}
}

// taken is PORT [free=PORT] [stop=WORDS_OF_A_COMMAND] [OWNER...].
func taken(words []string) pod.TakenPort {
	t := pod.TakenPort{HostPort: uint16(atoi(words[1])), Protocol: pod.TCP}
	for _, w := range words[2:] {
		switch key, value, _ := strings.Cut(w, "="); key {
		case "free":
			t.Free = uint16(atoi(value))
		case "stop":
			t.Stop = strings.ReplaceAll(value, "_", " ")
		default:
			t.Owner = strings.TrimSpace(t.Owner + " " + w)
		}
	}
	return t
}

// seeContainer changes the containers of that name, or adds one.
func seeContainer(s *pod.Status, words []string) {
	found := false
	for i := range s.Containers {
		if c := &s.Containers[i]; c.Service == words[0] || c.Name == "shop-"+words[0] {
			found = true
			setStatus(c, words[1:])
		}
	}
	if !found {
		service, n, _ := strings.Cut(words[0], "-")
		c := status(replica(service, max(atoi(n), 1)))
		setStatus(&c, words[1:])
		s.Containers = append(s.Containers, c)
	}
}

// status is a container that runs, healthy if it is checked.
func status(c pod.Container) pod.ContainerStatus {
	s := pod.ContainerStatus{Container: c, ID: c.Name, ImageID: "1", Run: pod.Run{State: pod.StateRunning}}
	for _, m := range c.Mounts {
		if m.Type == pod.MountImage {
			s.MountedImages = map[string]string{m.Target: "1"}
		}
	}
	if c.Health != nil {
		s.Run.Health = pod.HealthHealthy
	}
	s.Run.PostStarted = len(c.PostStart)
	return s
}

func setStatus(c *pod.ContainerStatus, words []string) {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "state":
			state, code, _ := strings.Cut(value, ":")
			c.Run = pod.Run{State: pod.State(state), ExitCode: atoi(code)}
			if code == "?" {
				c.Run.ExitCode = pod.UnknownExit
			}
		case "hooked": // so many of its post_start hooks
			c.Run.PostStarted = atoi(value)
		case "now": // its health
			c.Run.Health = pod.HealthState(value)
		case "anonymous":
			c.Anonymous = map[string]string{value: "anonymous-" + c.Name}
		default:
			set(&c.Container, key, value)
		}
	}
}

// atoi is 0 for what is no number.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func lines(text string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			if words := strings.Fields(line); len(words) > 0 && !yield(words) {
				return
			}
		}
	}
}

// network is one whose name on the machine is its key too.
func network(words []string) pod.Network {
	return pod.Network{Key: words[1], Name: words[1], Internal: slices.Contains(words, "internal"), External: slices.Contains(words, "external")}
}

// set changes one field of a container.
func set(c *pod.Container, key, value string) {
	list := strings.Split(value, ",")
	switch key {
	case "name":
		c.Name = value
	case "image":
		c.Image = value
	case "pull":
		c.Pull = pod.PullPolicy(value)
	case "network":
		c.Networks = nil
		for _, n := range list {
			c.Networks = append(c.Networks, pod.Attachment{Network: n})
		}
	case "command":
		c.Command = list
	case "env":
		c.Env = pairs(list)
	case "labels":
		c.Labels = pairs(list)
	case "restart":
		c.Restart.Policy = pod.RestartPolicy(value)
	case "health":
		c.Health = &pod.Health{Test: []string{"CMD", value}}
	case "grace":
		grace, err := time.ParseDuration(value)
		if err != nil {
			panic(err)
		}
		c.Stop.Grace = &grace
	case "shared":
		c.Sharing = pod.SharingShared
	case "mode":
		c.NetworkMode = pod.NetworkMode(value)
	case "listens":
		c.Listens = listens(list)
	case "ports":
		c.Ports = ports(list, c.Name)
	case "mount":
		c.Mounts = nil
		for _, m := range list {
			source, target, _ := strings.Cut(m, ":")
			m := pod.Mount{Type: pod.MountVolume, Source: source, Target: target}
			if image, ok := strings.CutPrefix(source, "image/"); ok {
				m.Type, m.Source = pod.MountImage, image
			}
			c.Mounts = append(c.Mounts, m)
		}
	case "secret":
		c.Files = []pod.File{{Source: value, External: value, Target: "/run/secrets/" + value}}
	case "from":
		c.VolumesFrom = nil
		for _, name := range list {
			c.VolumesFrom = append(c.VolumesFrom, pod.VolumesFrom{Container: name})
		}
	case "after":
		c.After = nil
		for _, d := range list {
			words := strings.Split(d, ":")
			c.After = append(c.After, pod.Dependency{
				On: words[0], Until: pod.Until(words[1]),
				Required: !slices.Contains(words, "optional"), Restart: slices.Contains(words, "restart"),
			})
		}
	case "pre-start": // NAME, or NAME@ for one of each replica, with /IMAGE
		for i, name := range list {
			name, image, _ := strings.Cut(name, "/")
			h := pod.Container{Name: "shop-" + c.Service + "-" + name, Service: c.Service, Cell: c.Cell, Image: c.Image,
				OneOff: true, Hook: fmt.Sprintf("pre_start[%d]", i), VolumesFrom: []pod.VolumesFrom{{Container: "shop-" + c.Service + "-1"}}}
			if each, ok := strings.CutSuffix(name, "@"); ok {
				h.Name = c.Name + "-" + each
				h.VolumesFrom[0].Container = c.Name
			}
			if image != "" {
				h.Image = image
			}
			c.PreStart = append(c.PreStart, h)
		}
	case "update": // start-first,parallelism:1,delay:5s,monitor:1s,continue; parallelism is 1
		c.Update = &pod.Update{Parallelism: 1}
		for _, w := range list {
			key, value, _ := strings.Cut(w, ":")
			d, _ := time.ParseDuration(value)
			switch key {
			case "start-first":
				c.Update.StartFirst = true
			case "parallelism":
				c.Update.Parallelism = atoi(value)
			case "delay":
				c.Update.Delay = d
			case "monitor":
				c.Update.Monitor = d
			case "rollback", "continue":
				c.Update.OnFailure = pod.FailureAction(key)
			}
		}
	case "cell":
		c.Cell = value
	case "successor": // of the container that it has the name of
		*c = c.Successor()
	case "leaving":
		*c = c.Renamed(pod.PredecessorName(c.Name))
		c.Leaving = true
	case "hook":
		c.OneOff, c.Hook = true, value
	case "post-start":
		c.PostStart = hooks(list)
	case "pre-stop":
		c.PreStop = hooks(list)
	case "oneoff":
		c.OneOff = true
	case "autoremove":
		c.AutoRemove = true
	default:
		panic("no such key: " + key)
	}
}

func hooks(list []string) []pod.Hook {
	var all []pod.Hook
	for _, h := range list {
		all = append(all, pod.Hook{Command: []string{h}})
	}
	return all
}

func pairs(list []string) map[string]string {
	m := map[string]string{}
	for _, p := range list {
		k, v, _ := strings.Cut(p, ":")
		m[k] = v
	}
	return m
}

func listens(list []string) []pod.Listen {
	var all []pod.Listen
	for _, l := range list {
		all = append(all, pod.Listen{Port: uint16(atoi(l)), Protocol: pod.TCP})
	}
	return all
}

// ports are HOST:CONTAINER, with @SERVICE-N where they are not in a container's line.
func ports(list []string, container string) []pod.Port {
	var all []pod.Port
	for _, p := range list {
		p, of, ok := strings.Cut(p, "@")
		if ok {
			container = "shop-" + of
		}
		host, target, _ := strings.Cut(p, ":")
		host, last, _ := strings.Cut(host, "-")
		all = append(all, pod.Port{Container: container, HostPort: uint16(atoi(host)), Last: uint16(atoi(last)), ContainerPort: uint16(atoi(target)), Protocol: pod.TCP})
	}
	return all
}
