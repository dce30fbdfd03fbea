package ui

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
)

func TestStatusLine(t *testing.T) {
	now := time.Unix(1700000000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, tt := range []struct {
		run  pod.Run
		want string
	}{
		{pod.Run{State: pod.StateRunning, StartedAt: ago(5 * time.Minute), Health: pod.HealthHealthy}, "Up 5 minutes (healthy)"},
		{pod.Run{State: pod.StateRunning, StartedAt: ago(time.Millisecond), Health: pod.HealthStarting}, "Up Less than a second (health: starting)"},
		{pod.Run{State: pod.StateRunning, StartedAt: ago(3 * time.Hour), Health: pod.HealthUnhealthy}, "Up 3 hours (unhealthy)"},
		{pod.Run{State: pod.StateRunning, StartedAt: ago(70 * time.Second)}, "Up About a minute"},
		{pod.Run{State: pod.StatePaused, StartedAt: ago(2 * time.Second)}, "Up 2 seconds (Paused)"},
		{pod.Run{State: pod.StateExited, ExitCode: 1, FinishedAt: ago(2 * time.Second)}, "Exited (1) 2 seconds ago"},
		{pod.Run{State: pod.StateExited, ExitCode: pod.UnknownExit}, "Exited (unknown)"},
		{pod.Run{State: pod.StateRestarting, ExitCode: 3, FinishedAt: ago(time.Second)}, "Restarting (3) 1 second ago"},
		{pod.Run{State: pod.StateCreated}, "Created"},
		{pod.Run{State: pod.StatePartial}, "Created"},
	} {
		if got := StatusLine(tt.run, now); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.run, got, tt.want)
		}
	}
}

func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		argv []string
		full bool
		want string
	}{
		{[]string{"sleep", "infinity"}, false, `"sleep infinity"`},
		{[]string{"sh", "-c", "exit 3"}, false, `"sh -c 'exit 3'"`},
		{[]string{"sh", "-c", `echo "hi there"; sleep infinity`}, false, `"sh -c 'echo \"hi the…"`},
		{[]string{"sh", "-c", `echo "hi there"; sleep infinity`}, true, `"sh -c 'echo \"hi there\"; sleep infinity'"`},
		{[]string{"my program", "x"}, false, `"my program x"`},
	} {
		if got := command(pod.ContainerStatus{Argv: tt.argv}, tt.full); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.argv, got, tt.want)
		}
	}
}

func TestPorts(t *testing.T) {
	for _, tt := range []struct {
		ports []pod.Port
		want  string
	}{
		{nil, "9000/tcp"},
		{[]pod.Port{{HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}}, "9000/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"},
		{[]pod.Port{{HostIP: "127.0.0.1", HostPort: 53, ContainerPort: 53, Protocol: "udp"}}, "9000/tcp, 127.0.0.1:53->53/udp"},
		{[]pod.Port{{HostIP: "::1", HostPort: 1, ContainerPort: 2, Protocol: "tcp"}}, "9000/tcp, [::1]:1->2/tcp"},
		{[]pod.Port{
			{HostIP: "10.0.0.1", HostPort: 8002, ContainerPort: 8002, Protocol: "tcp"},
			{HostIP: "10.0.0.1", HostPort: 8000, ContainerPort: 8000, Protocol: "tcp"},
			{HostIP: "10.0.0.1", HostPort: 8001, ContainerPort: 8001, Protocol: "tcp"},
		}, "9000/tcp, 10.0.0.1:8000-8002->8000-8002/tcp"},
		{[]pod.Port{{HostPort: 9000, ContainerPort: 9000, Protocol: "tcp"}}, "0.0.0.0:9000->9000/tcp, [::]:9000->9000/tcp"},
	} {
		c := pod.ContainerStatus{Container: pod.Container{Name: "c", Listens: []pod.Listen{{Port: 9000, Protocol: "tcp"}}}, Run: pod.Run{State: pod.StateRunning}}
		for i := range tt.ports {
			tt.ports[i].Container = "c"
		}
		if got := Ports(publishers(pod.Status{Ports: tt.ports}, c)); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestPodPortsFoldsRanges(t *testing.T) {
	status := pod.Status{Ports: []pod.Port{
		{Container: "b", HostPort: 8001, ContainerPort: 8001, Protocol: "tcp"},
		{Container: "a", HostPort: 8000, ContainerPort: 8000, Protocol: "tcp"},
		{Container: "a", HostIP: "::1", HostPort: 53, ContainerPort: 5353, Protocol: "udp"},
	}}
	if got, want := PodPorts(status), "0.0.0.0:8000-8001->8000-8001/tcp, [::1]:53->5353/udp"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// sample is a container of 5 minutes, and the moment it is looked at.
func sample() (pod.Status, pod.ContainerStatus, time.Time) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	status := pod.Status{Name: "demo", Ports: []pod.Port{{Container: "demo-web-1", HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}}}
	c := pod.ContainerStatus{
		Container: pod.Container{
			Name: "demo-web-1", Service: "web", Image: "nginx",
			Labels: map[string]string{"b": "2", "a": "1"},
			Mounts: []pod.Mount{{Type: pod.MountVolume, Source: "demo_data", Target: "/data"}},
		},
		ID: "0123456789abcdef", CreatedAt: now.Add(-5 * time.Minute), Argv: []string{"nginx", "-g", "daemon off; and more"},
		Run: pod.Run{State: pod.StateRunning, StartedAt: now.Add(-4 * time.Minute)},
	}
	return status, c, now
}

func TestContainersTable(t *testing.T) {
	u, out, _ := testUI(Plain)
	status, c, now := sample()
	if err := u.Containers("table", []Container{Describe(status, c, now, false)}); err != nil {
		t.Fatal(err)
	}
	want := `NAME         IMAGE     COMMAND                  SERVICE   CREATED         STATUS         PORTS
demo-web-1   nginx     "nginx -g 'daemon of…"   web       5 minutes ago   Up 4 minutes   0.0.0.0:8080->80/tcp, [::]:8080->80/tcp
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestContainersJSON(t *testing.T) {
	u, out, _ := testUI(Plain)
	status, c, now := sample()
	list := []Container{Describe(status, c, now, false), Describe(status, c, now, true)}
	if err := u.Containers("json", list); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines, want an object a line", len(lines))
	}
	var first map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{
		"ID": "0123456789ab", "Name": "demo-web-1", "Labels": "a=1,b=2", "State": "running", "ExitCode": 0.0, "RunningFor": "5 minutes ago",
		"Mounts": "demo_data", "LocalVolumes": "1", "Project": "demo", "CreatedAt": "2026-01-02 02:59:05 +0000 UTC",
	} {
		if first[field] != want {
			t.Errorf("%s: got %v, want %v", field, first[field], want)
		}
	}
	if len(first["Publishers"].([]any)) != 2 {
		t.Errorf("got %v", first["Publishers"])
	}
	if !strings.Contains(lines[1], "0123456789abcdef") {
		t.Errorf("--no-trunc cuts the ID: %s", lines[1])
	}
}

func TestContainersTemplate(t *testing.T) {
	status, c, now := sample()
	c.Labels["com.example.the-tier"] = "front"
	for _, tt := range []struct{ format, want string }{
		{"{{.Name}}: {{.State}}", "demo-web-1: running\n"},
		{`table {{.Service}}\t{{.RunningFor}}`, "SERVICE   CREATED\nweb       5 minutes ago\n"},
		{"{{range .Publishers}}{{.PublishedPort}} {{end}}", "8080 8080 \n"},
		{"{{json .Names}}", "\"demo-web-1\"\n"},
		{`{{.Label "com.example.the-tier"}}.{{.Label "none"}}.`, "front..\n"},
		{`table {{.Name}}\t{{.Label "com.example.the-tier"}}`, "NAME         the tier\ndemo-web-1   front\n"},
	} {
		u, out, _ := testUI(Plain)
		if err := u.Containers(tt.format, []Container{Describe(status, c, now, false)}); err != nil {
			t.Fatal(err)
		}
		if out.String() != tt.want {
			t.Errorf("%s: got %q, want %q", tt.format, out, tt.want)
		}
	}
	u, _, _ := testUI(Plain)
	err := u.Containers("{{.Nme}}", []Container{Describe(status, c, now, false)})
	if err == nil || !strings.HasPrefix(err.Error(), `cannot print with format "{{.Nme}}": `) {
		t.Errorf("got %v", err)
	}
}
