package engine

import (
	"slices"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

func TestMeant(t *testing.T) {
	listeners := []pod.Listener{{Port: 80, Protocol: pod.TCP}, {Port: 3000, Protocol: pod.TCP}, {Port: 53, Protocol: pod.UDP}}
	for name, test := range map[string]struct {
		said string
		argv []string
		env  map[string]string
		want []uint16
	}{
		"said":        {said: "listen tcp :3000: bind: address already in use", argv: []string{"app", "-p", "80"}, want: []uint16{3000}},
		"nginx":       {said: "[emerg] 1#1: bind() to 0.0.0.0:80 failed (98: Address in use)", want: []uint16{80}},
		"command":     {said: "httpd: bind: Address already in use", argv: []string{"httpd", "-p", "0.0.0.0:80"}, want: []uint16{80}},
		"environment": {said: "Address already in use", argv: []string{"app"}, env: map[string]string{"PORT": "3000"}, want: []uint16{3000}},
		"nothing":     {said: "Address already in use", argv: []string{"app"}, want: []uint16{80, 3000, 53}},
		"part of one": {said: "listen :30001: address already in use", argv: []string{"app", "-p", "80"}, want: []uint16{80}},
	} {
		c := pod.ContainerStatus{Argv: test.argv}
		c.Env = test.env
		var got []uint16
		for _, l := range meant(c, test.said, listeners) {
			got = append(got, l.Port)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestFailing(t *testing.T) {
	for name, test := range map[string]struct {
		run  pod.Run
		want bool
	}{
		"runs":            {pod.Run{State: pod.StateRunning}, false},
		"ran":             {pod.Run{State: pod.StateExited}, false},
		"failed":          {pod.Run{State: pod.StateExited, ExitCode: 1}, true},
		"restarts":        {pod.Run{State: pod.StateRestarting}, true},
		"runs again":      {pod.Run{State: pod.StateRunning, Restarts: 2}, true},
		"runs unwell":     {pod.Run{State: pod.StateRunning, Health: pod.HealthUnhealthy}, true},
		"begins":          {pod.Run{State: pod.StateRunning, Health: pod.HealthStarting}, false},
		"not yet started": {pod.Run{State: pod.StateCreated}, false},
	} {
		if got := failing(pod.ContainerStatus{Run: test.run}); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
