package supervisor

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/events"
	"github.com/pcompose/pcompose/pod/lifecycle"
	"golang.org/x/sys/unix"
)

// journal writes the project's events; its file is "" for a pod that a version without them has made.
type journal struct{ file string }

// note tells what happened to a container, with what else there is to say: pairs of key and value. A file that cannot be
// written stops nothing.
func (j journal) note(b control.Bundle, action string, more ...string) {
	if j.file == "" {
		return
	}
	attributes := map[string]string{}
	maps.Copy(attributes, b.Container.Labels)
	for i := 0; i+1 < len(more); i += 2 {
		attributes[more[i]] = more[i+1]
	}
	_ = events.Write(j.file, events.Event{
		Time: time.Now(), Action: action, ID: b.ID, Name: b.Container.Name, Service: b.Container.Service,
		Image: b.Container.Image, Attributes: attributes,
	})
}

// changes tells what one step of a container's life means to a user.
func (j journal) changes(b control.Bundle, before, after lifecycle.State) {
	for _, c := range changes(before, after) {
		j.note(b, c[0], c[1:]...)
	}
}

// changes are the events between two states, each an action with its attributes, by docker's names.
func changes(before, after lifecycle.State) [][]string {
	was, is := before.Run, after.Run
	var list [][]string
	add := func(action string, attributes ...string) {
		list = append(list, append([]string{action}, attributes...))
	}
	if is.PID != 0 && was.PID == 0 {
		add("start")
	}
	if was.PID != 0 && is.PID == 0 {
		if is.OOMKilled {
			add("oom")
		}
		lived := strconv.Itoa(int(is.FinishedAt.Sub(was.StartedAt).Seconds()))
		add("die", "execDuration", lived, "exitCode", strconv.Itoa(is.ExitCode))
		if before.Stopping {
			add("stop")
		}
	}
	switch {
	case is.State == pod.StatePaused && was.State != pod.StatePaused:
		add("pause")
	case was.State == pod.StatePaused && is.State == pod.StateRunning:
		add("unpause")
	}
	if is.Health != was.Health && (is.Health == pod.HealthHealthy || is.Health == pod.HealthUnhealthy) {
		add("health_status: " + string(is.Health))
	}
	return list
}

// killing tells of a signal; "" is the stop signal.
func (j journal) killing(b control.Bundle, name string) {
	if name == "" {
		name = b.Container.Stop.Signal
	}
	sig, err := signalNumber(name)
	if err != nil { // also where nothing is said
		sig = unix.SIGTERM
	}
	j.note(b, "kill", "signal", strconv.Itoa(int(sig)))
}

// execution is a further process in a container, as its events name it.
type execution struct {
	journal
	bundle control.Bundle
	id     string
}

// executing tells that a process is about to run, and began.
func (j journal) executing(b control.Bundle, argv []string) execution {
	id := make([]byte, 32)
	rand.Read(id) // never fails (crypto/rand)
	x := execution{j, b, hex.EncodeToString(id)}
	command := strings.Join(argv, " ")
	j.note(b, "exec_create: "+command, "execID", x.id)
	j.note(b, "exec_start: "+command, "execID", x.id)
	return x
}

// ended tells of its end.
func (x execution) ended(code int) {
	x.note(x.bundle, "exec_die", "execID", x.id, "exitCode", strconv.Itoa(code))
}
