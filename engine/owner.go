package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pcompose/pcompose/engine/userns"
	"github.com/pcompose/pcompose/pod"
)

// nameOwner says which container has a host port, where a program holds it for one: another project of ours, or docker. What
// cannot be read stays as it is. The kernel shows a user's namespace whose a socket outside of it is, and not which process has
// it (ptrace(2), access mode checking).
func nameOwner(ctx context.Context, e *Engine, t *pod.TakenPort) {
	switch {
	case t.Owner == "" && userns.Rootless():
		whose, show := "a process of another user's", "sudo ss -Hlnp"
		if t.Mine {
			whose, show = "a process of yours that is in no pod", "ss -Hlnp"
		}
		t.Owner = fmt.Sprintf("%s (%s sport = :%d names it)", whose, show, t.HostPort)
	case t.Project != "":
		nameOurs(ctx, e, t)
	case t.Process == "docker-proxy":
		if c, err := dockerContainer(ctx, *t); err == nil {
			t.Owner, t.Stop = fmt.Sprintf("docker's container %q", c), "docker stop "+c
		}
	}
}

// nameOurs asks the supervisor of another project which container publishes a port.
func nameOurs(ctx context.Context, e *Engine, t *pod.TakenPort) {
	reply, err := e.Project(t.Project).client().status(ctx)
	if err != nil {
		return
	}
	port := pod.Port{HostIP: t.HostIP, HostPort: t.HostPort, Protocol: t.Protocol}
	i := slices.IndexFunc(reply.Ports, port.Collides)
	remembered, err := e.state.Load(t.Project)
	if i < 0 || err != nil || remembered == nil {
		return
	}
	if r, ok := remembered.Containers[reply.Ports[i].Container]; ok {
		t.Owner = fmt.Sprintf("container %q of project %q", r.Container.Name, t.Project)
		t.Stop = fmt.Sprintf("pcompose -p %s stop %s", t.Project, r.Container.Service)
	}
}

// dockerSocket is where the docker daemon answers (dockerd(8)), as the process of its proxy sees it, and dockerWithin how long
// it may take: the name is worth no longer wait.
const (
	dockerSocket = "/run/docker.sock"
	dockerWithin = 2 * time.Second
)

// dockerContainer is the container of docker that publishes a host port, by docker's API: its proxy does not say.
func dockerContainer(ctx context.Context, t pod.TakenPort) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerWithin)
	defer cancel()
	var dialer net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", fmt.Sprintf("/proc/%d/root%s", t.PID, dockerSocket))
	}}
	defer transport.CloseIdleConnections()
	filter := fmt.Sprintf(`{"publish":["%d/%s"]}`, t.HostPort, t.Protocol)
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/containers/json?filters="+url.QueryEscape(filter), http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := transport.RoundTrip(ask)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var found []struct{ Names []string }
	if err := json.NewDecoder(answer.Body).Decode(&found); err != nil {
		return "", err
	}
	if len(found) != 1 || len(found[0].Names) == 0 {
		return "", fmt.Errorf("docker has %d containers with port %d/%s", len(found), t.HostPort, t.Protocol)
	}
	return strings.TrimPrefix(found[0].Names[0], "/"), nil
}
