package planner_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pcompose/pcompose/planner"
)

// TestLoses: what a plan destroys is known before it runs, in the order of its steps.
func TestLoses(t *testing.T) {
	want := desired("web mount=data:/data\nvolume data\n")
	have := observed("same\nweb anonymous=/cache\n", want)
	plan := planner.Down(&want, have, planner.DownOptions{Volumes: true})
	if got := plan.Loses(); !slices.Equal(got, []string{"the data in the anonymous volumes of shop-web-1", "the data in volume data"}) {
		t.Errorf("%q", got)
	}
	if got := planner.Down(&want, have, planner.DownOptions{}).Loses(); got != nil {
		t.Errorf("down without -v loses %q", got)
	}
}

// TestRenew: a container that replaces another takes over its anonymous volumes, unless asked for new ones.
func TestRenew(t *testing.T) {
	want := desired("web command=new\n")
	have := observed("same\nweb command=old anonymous=/cache\n", want)
	for _, renew := range []bool{false, true} {
		plan, err := planner.Up(want, have, planner.UpOptions{RenewAnonymous: renew})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range plan.Steps {
			if a, ok := s.Action.(planner.RemoveContainer); ok && a.Volumes != renew {
				t.Errorf("renew %v: removes volumes: %v", renew, a.Volumes)
			}
		}
	}
}

// TestGrace: a stop waits as long as the container says that runs, not the one that comes, or as it was asked to.
func TestGrace(t *testing.T) {
	want := desired("web command=new grace=1s\ndb command=new\n")
	have := observed("same\nweb command=old grace=3s\ndb command=old\n", want)
	asked := 7 * time.Second
	for _, test := range []struct {
		grace *time.Duration
		want  map[string]time.Duration
	}{
		{nil, map[string]time.Duration{"shop-web-1": 3 * time.Second, "shop-db-1": 10 * time.Second}},
		{&asked, map[string]time.Duration{"shop-web-1": asked, "shop-db-1": asked}},
	} {
		up, err := planner.Up(want, have, planner.UpOptions{Grace: test.grace})
		if err != nil {
			t.Fatal(err)
		}
		for _, plan := range []*planner.Plan{up, planner.Down(&want, have, planner.DownOptions{Grace: test.grace}), planner.Stop(have, nil, test.grace)} {
			for _, s := range plan.Steps {
				if a, ok := s.Action.(planner.StopContainer); ok && a.Grace != test.want[a.Name] {
					t.Errorf("%s has %s to stop, want %s", a.Name, a.Grace, test.want[a.Name])
				}
			}
		}
	}
}

// TestNoRecreate: an update of a container that is not recreated does not claim what it was not made from.
func TestNoRecreate(t *testing.T) {
	want := desired("web env=A:new labels=a:new\n")
	have := observed("same\nweb env=A:old labels=a:old\n", want)
	plan, err := planner.Up(want, have, planner.UpOptions{Recreate: planner.RecreateNone})
	if err != nil || len(plan.Steps) != 1 {
		t.Fatal(plan, err)
	}
	c := plan.Steps[0].Action.(planner.UpdateContainer).Container
	if c.Env["A"] != "old" || c.Labels["a"] != "new" {
		t.Errorf("env %v, labels %v", c.Env, c.Labels)
	}
}
