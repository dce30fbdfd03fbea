package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
)

const killVar = "PCT_SANDBOX_ARRANGE"

// TestKilledWhileArranging kills a supervisor at points of its way from one cell to many, and lets the next one go on.
func TestKilledWhileArranging(t *testing.T) {
	host(t)
	_, want, _ := strings.Cut(normal(t, startPlanned(t, "unharmed")), "\n")
	for i := range 12 {
		after := time.Duration(i*2) * time.Millisecond
		first, err := Create(t.Context(), config(t, "killed"))
		must(t, err)
		files, err := first.Files()
		must(t, err)
		must(t, first.Release())
		cmd := exec.Command("/proc/self/exe", "-test.run", "^TestArrangeToBeKilled$")
		dir := t.TempDir()
		cmd.Env = append(os.Environ(), killVar+"="+dir, "TMPDIR="+dir) // what it makes goes with this test
		cmd.ExtraFiles = []*os.File{files["netns/"+pod.DefaultCell]}
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		_, err = out.Read(make([]byte, 1))
		must(t, err)
		time.Sleep(after) // the point to kill at: it waits for nothing
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		s, err := Adopt(t.Context(), planned(t, "killed"), files)
		must(t, err)
		if _, got, _ := strings.Cut(normal(t, s), "\n"); got != want {
			t.Errorf("killed after %s: the pod is\n%s\nwant\n%s", after, got, want)
		}
		stop := named(t, s.cell("web-2"), "two", 80)
		wantAnswer(t, s.cell("api"), "10.210.1.4", 80, "two")
		wantNothing(t, s.cell("db"), "10.210.1.4", 80)
		stop()
		files["netns/"+pod.DefaultCell].Close()
		must(t, s.Close())
	}
}

// TestArrangeToBeKilled is no test: it is the other process of the one above.
func TestArrangeToBeKilled(t *testing.T) {
	dir := os.Getenv(killVar)
	if dir == "" {
		t.Skip("SKIPPED: only run by TestKilledWhileArranging")
	}
	c := config(t, "killed")
	s, err := Adopt(t.Context(), c, map[string]*os.File{"netns/" + pod.DefaultCell: os.NewFile(3, "netns")})
	must(t, err)
	fmt.Print(".")
	cells, networks, members := plan()
	one := slices.Clone(cells[:1])
	one[0].Links = nil
	for {
		must(t, s.Arrange(t.Context(), cells, networks, members))
		must(t, s.Arrange(t.Context(), one, networks, members[:1]))
	}
}
