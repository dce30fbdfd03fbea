package planner_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

var update = flag.Bool("update", os.Getenv("UPDATE")+os.Getenv("PCT_GOLDEN") != "", "rewrite the expected output")

// TestPlan makes the plan of every archive of testdata/plan and compares its print with the file "plan", and its
// JSON with the file "json" if there is one. The file "command" has a command and its options; the notation of
// "desired" and "observed" is in notation_test.go. Instead of "observed", "before" has a pod as it was desired, and then
// brought up.
func TestPlan(t *testing.T) {
	files, err := filepath.Glob("testdata/plan/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in := map[string]string{}
			for _, f := range archive.Files {
				in[f.Name] = string(f.Data)
			}
			plan, err := runCommand(in)
			got := map[string]string{"plan": printed(plan, err)}
			if err == nil {
				invariants(t, plan)
				b, err := json.MarshalIndent(plan.Steps, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				got["json"] = string(b) + "\n"
			}
			if strings.Contains(got["plan"]+got["json"], "sekret") {
				t.Errorf("the plan tells a secret:\n%s", got["plan"])
			}
			compare(t, file, archive, got)
		})
	}
}

func printed(plan *planner.Plan, err error) string {
	switch {
	case err != nil:
		return "error: " + err.Error() + "\n"
	case plan.String() == "":
		return "nothing\n"
	}
	return plan.String()
}

func compare(t *testing.T, file string, archive *txtar.Archive, got map[string]string) {
	for i, f := range archive.Files {
		text, tested := got[f.Name]
		if !tested || text == string(f.Data) {
			continue
		}
		if !*update {
			t.Errorf("%s is\n%s, want\n%s", f.Name, text, f.Data)
		}
		archive.Files[i].Data = []byte(text)
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// after is a pod that was brought up before.
func after(spec pod.Spec) (pod.Status, error) {
	m := &model{pod.Status{Name: "shop", Images: map[string]pod.Image{}}}
	plan, err := planner.Up(spec, m.Status, planner.UpOptions{})
	if err != nil {
		return m.Status, err
	}
	m.Spec = &plan.Pod
	return m.Status, m.carryOut(plan, len(plan.Steps), rand.New(rand.NewPCG(1, 1)))
}

// runCommand makes the plan that the file "command" asks for.
func runCommand(in map[string]string) (*planner.Plan, error) {
	want := desired(in["desired"])
	have := observed(in["observed"], want)
	if text, ok := in["before"]; ok {
		var err error
		if have, err = after(desired(text)); err != nil {
			return nil, err
		}
	}
	words := strings.Fields(in["command"])
	var file *pod.Spec
	if _, ok := in["desired"]; ok {
		file = &want
	}
	o, services := options(words[1:])
	switch words[0] {
	case "up":
		return planner.Up(want, have, o.up)
	case "down":
		return planner.Down(file, have, o.down), nil
	case "start":
		return planner.Start(have, services, o.up.Wait)
	case "stop":
		return planner.Stop(have, services, o.up.Grace), nil
	case "restart":
		return planner.Restart(have, services, !o.up.OnlyNamed, o.up.Grace)
	case "kill":
		return planner.Kill(have, services, "SIGUSR1"), nil
	case "run":
		c := oneOff(services)
		return planner.Run(want, c, have, planner.RunOptions{NoDeps: o.up.OnlyNamed, RemoveOrphans: o.up.RemoveOrphans})
	case "remove-one-off":
		return planner.RemoveOneOff(have, "shop-"+services[0]), nil
	case "pause":
		return planner.Pause(have, services), nil
	case "unpause":
		return planner.Unpause(have, services), nil
	case "remove":
		return planner.Remove(have, services, o.stop, o.down.Volumes), nil
	}
	return nil, fmt.Errorf("no such command: %s", words[0])
}

// oneOff is the container of run: its service, and what differs from a replica of it.
func oneOff(words []string) pod.Container {
	c := replica(words[0], 1)
	c.Name, c.OneOff = "shop-"+words[0]+"-run-1", true
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		set(&c, key, value)
	}
	return c
}

type commandOptions struct {
	up   planner.UpOptions
	down planner.DownOptions
	stop bool
}

// options are words that begin with a dash; the others are services.
func options(words []string) (o commandOptions, services []string) {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "-no-deps":
			o.up.OnlyNamed = true
		case "-create-only":
			o.up.CreateOnly = true
		case "-force":
			o.up.Recreate = planner.RecreateAll
		case "-force-dependencies":
			o.up.ForceDependencies = true
		case "-no-recreate":
			o.up.Recreate = planner.RecreateNone
		case "-recreate-volume":
			o.up.RecreateVolumes = append(o.up.RecreateVolumes, value)
		case "-renew":
			o.up.RenewAnonymous = true
		case "-provided":
			o.up.Provided = true
		case "-remove-orphans":
			o.up.RemoveOrphans, o.down.RemoveOrphans = true, true
		case "-wait":
			o.up.Wait = true
		case "-v":
			o.down.Volumes = true
		case "-rmi":
			o.down.Images = planner.RemoveImages(value)
		case "-s":
			o.stop = true
		case "-t":
			grace := time.Duration(atoi(value)) * time.Second
			o.up.Grace, o.down.Grace = &grace, &grace
		default:
			services = append(services, w)
		}
	}
	o.up.Services, o.down.Services = services, services
	return o, services
}
