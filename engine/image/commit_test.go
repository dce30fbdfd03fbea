package image

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/pcompose/pcompose/pod"
	"go.podman.io/storage"
)

func TestCommitted(t *testing.T) {
	const base = `{"os":"linux","x":1,"rootfs":{"type":"layers","diff_ids":["sha256:aa"]},"history":[{"created_by":"base"}],
		"config":{"Env":["PATH=/bin","A=1"],"Entrypoint":["/entry"],"Cmd":["run"],"User":"app","WorkingDir":"/srv","Labels":{"l":"1"},
		"OnBuild":["RUN a"],"Shell":["sh"]}}`
	made := pod.Container{
		Command: []string{"sleep", "9"}, Env: map[string]string{"A": "2", "B": "3"}, User: "0", Listens: []pod.Listen{{Port: 80, Protocol: "tcp"}},
		Labels: map[string]string{"who": "me", pod.LabelProject: "shop"}, Stop: pod.Stop{Signal: "SIGINT"},
		Health: &pod.Health{Test: []string{"CMD", "true"}, Interval: time.Second},
	}
	for name, tt := range map[string]struct {
		container pod.Container
		changes   []string
		want      string // the configuration
	}{
		"as the image": {want: `{"Cmd":["run"],"Entrypoint":["/entry"],"Env":["PATH=/bin","A=1"],"Labels":{"l":"1"},"OnBuild":["RUN a"],"Shell":["sh"],"User":"app","WorkingDir":"/srv"}`},
		"as the container": {container: made, want: `{"Cmd":["sleep","9"],"Entrypoint":["/entry"],"Env":["PATH=/bin","A=2","B=3"],"ExposedPorts":{"80/tcp":{}},` +
			`"Healthcheck":{"Test":["CMD","true"],"Interval":1000000000},"Labels":{"l":"1","who":"me"},"OnBuild":["RUN a"],"Shell":["sh"],"StopSignal":"SIGINT","User":"0","WorkingDir":"/srv"}`},
		"an entrypoint of the container": {container: pod.Container{Entrypoint: []string{"/mine"}},
			want: `{"Entrypoint":["/mine"],"Env":["PATH=/bin","A=1"],"Labels":{"l":"1"},"OnBuild":["RUN a"],"Shell":["sh"],"User":"app","WorkingDir":"/srv"}`},
		"changed": {changes: []string{"ENV A=x C=\"y z\"", "env D e f", "LABEL l=2 m=3", "EXPOSE 80 53/udp", "USER root", "WORKDIR sub", "STOPSIGNAL SIGQUIT", "VOLUME /v", "ONBUILD RUN b", "CMD sh x"},
			want: `{"Cmd":["/bin/sh","-c","sh x"],"Entrypoint":["/entry"],"Env":["PATH=/bin","A=x","C=y z","D=e f"],"ExposedPorts":{"53/udp":{},"80/tcp":{}},"Labels":{"l":"2","m":"3"},` +
				`"OnBuild":["RUN a","RUN b"],"Shell":["sh"],"StopSignal":"3","User":"root","Volumes":{"/v":{}},"WorkingDir":"/srv/sub"}`},
		"another entrypoint drops the command": {changes: []string{`ENTRYPOINT ["/other"]`, "WORKDIR /new"},
			want: `{"Entrypoint":["/other"],"Env":["PATH=/bin","A=1"],"Labels":{"l":"1"},"OnBuild":["RUN a"],"Shell":["sh"],"User":"app","WorkingDir":"/new"}`},
		"a cleared entrypoint does not": {changes: []string{"ENTRYPOINT []"},
			want: `{"Cmd":["run"],"Env":["PATH=/bin","A=1"],"Labels":{"l":"1"},"OnBuild":["RUN a"],"Shell":["sh"],"User":"app","WorkingDir":"/srv"}`},
	} {
		t.Run(name, func(t *testing.T) {
			change, err := parseChanges(tt.changes)
			if err != nil {
				t.Fatal(err)
			}
			c := Commit{Container: tt.container, CreatedBy: "sleep 9", Author: "me", Comment: "why", At: time.Unix(0, 0).UTC()}
			blob, err := committed([]byte(base), c, digest.Digest("sha256:bb"), change)
			if err != nil {
				t.Fatal(err)
			}
			var all map[string]json.RawMessage
			if err := json.Unmarshal(blob, &all); err != nil {
				t.Fatal(err)
			}
			if got := string(all["config"]); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if string(all["x"]) != "1" || string(all["author"]) != `"me"` || string(all["rootfs"]) != `{"type":"layers","diff_ids":["sha256:aa","sha256:bb"]}` ||
				string(all["history"]) != `[{"created_by":"base"},{"created":"1970-01-01T00:00:00Z","created_by":"sleep 9","author":"me","comment":"why"}]` {
				t.Errorf("got %s", blob)
			}
		})
	}
	for _, change := range []string{"RUN x", "ENV", "ENV A", "ENV A=1 B", "LABEL", "EXPOSE", "EXPOSE x", "STOPSIGNAL NOPE", `ENV A="`, "CMD"} {
		if got, err := parseChanges([]string{change}); err == nil {
			t.Errorf("%s: got %+v", change, got)
		}
	}
}

// TestCommit makes an image of a container in the store, and sends it to a registry and back.
func TestCommit(t *testing.T) {
	store := scratch(t)
	address := hubMirror(t, nil)
	push(t, address, "library/web:1", 2)
	base, err := store.Pull(t.Context(), "web:1", PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	container, err := store.Storage().CreateContainer("", nil, base, "", "", &storage.ContainerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := store.Storage().Mount(container.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "made"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	registries(t, "[[registry]]\nlocation = \""+address+"\"\ninsecure = true\n")
	name := address + "/shop/web:2"
	id, err := Commit{ID: container.ID, Name: name, At: time.Unix(1700000000, 0)}.Into(store)
	if err != nil {
		t.Fatal(err)
	}
	d, err := store.Inspect(name)
	if err != nil || d.ID != id || len(d.Layers) != 3 || !d.Created.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("got %+v, %v", d, err)
	}
	var archive bytes.Buffer
	if err := store.Save(t.Context(), []string{name}, DockerArchive, &archive); err != nil {
		t.Error(err)
	}
	if err := store.Push(t.Context(), name, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Remove(name, false); err != nil {
		t.Fatal(err)
	}
	if back, err := store.Pull(t.Context(), name, PullOptions{}); err != nil || back != id {
		t.Errorf("got %s, %v", back, err)
	}
	for _, bad := range []Commit{
		{ID: container.ID, Name: "UPPER"}, {ID: container.ID, Name: "a@sha256:" + strings.Repeat("0", 64)}, {ID: "none"}, {ID: container.ID, Changes: []string{"RUN x"}},
	} {
		if id, err := bad.Into(store); err == nil || !strings.HasPrefix(err.Error(), "cannot commit") {
			t.Errorf("%+v: got %s, %v", bad, id, err)
		}
	}
}
