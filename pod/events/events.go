// Package events keeps what happened to the containers of a project, for `events`.
//
// There is no daemon that could remember: whoever does a thing appends a line to the project's file, with one write(2)
// to a file opened with O_APPEND, so that lines of several writers never mix. There is no lock and no fsync: it is as
// cheap as a write to a tmpfs, and a writer killed half way leaves a torn line, which readers skip. At maxSize the file
// becomes the older one of two, so both together bound what is kept.
package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Event is something that happened to a container, by docker's names.
type Event struct {
	Time time.Time `json:"time"`
	// Action is create, start, die, oom, stop, kill, restart, pause, unpause, destroy, "health_status: healthy",
	// "exec_create: COMMAND" and their like.
	Action string `json:"action"`
	// ID, Name and Service are the container's, Image what it was made from.
	ID      string `json:"id"`
	Name    string `json:"name"`
	Service string `json:"service"`
	Image   string `json:"image"`
	// Attributes are what the action says besides, such as exitCode, and the container's labels.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// encode is an event as a line. The newline in front ends what a killed writer may have left.
//
// Labels that are compose's own are left out, as docker compose does: they say nothing of the event.
func encode(e Event) ([]byte, error) {
	e.Attributes = maps.Clone(e.Attributes)
	maps.DeleteFunc(e.Attributes, func(key, _ string) bool { return strings.HasPrefix(key, "com.docker.compose.") })
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("cannot encode event: %w", err)
	}
	return append(append([]byte{'\n'}, b...), '\n'), nil
}

// decode reads lines; it skips what is none, and leaves a last line without its end.
func decode(text []byte) (list []Event, rest []byte) {
	for {
		line, after, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			return list, text
		}
		text = after
		var e Event
		if json.Unmarshal(line, &e) == nil && e.Action != "" {
			list = append(list, e)
		}
	}
}

// all are the attributes as docker has them: image and name are among them.
func (e Event) all() map[string]string {
	m := map[string]string{"image": e.Image, "name": e.Name}
	maps.Copy(m, e.Attributes)
	return m
}

// Text is the event as docker compose prints it:
// "2026-01-02 15:04:05.000000 container start ID (image=busybox, name=app-1)".
func (e Event) Text() string {
	attributes := e.all()
	var list []string
	for _, k := range slices.Sorted(maps.Keys(attributes)) {
		list = append(list, k+"="+attributes[k])
	}
	return fmt.Sprintf("%s container %s %s (%s)", e.Time.Local().Format("2006-01-02 15:04:05.000000"), e.Action, e.ID, strings.Join(list, ", "))
}

// JSON is the event as docker compose prints it with --json.
func (e Event) JSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"time": e.Time.Local(), "type": "container", "service": e.Service, "id": e.ID, "action": e.Action, "attributes": e.all(),
	})
}
