package trigger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

func describe(files []Sync, a Actions) string {
	var b strings.Builder
	for _, s := range files {
		fmt.Fprintf(&b, "sync %s", s.Service)
		for _, f := range s.Files {
			fmt.Fprintf(&b, " %s>%s", f.Path, f.Target)
		}
		b.WriteByte('\n')
	}
	for _, s := range a.Rebuild {
		fmt.Fprintln(&b, "rebuild", s)
	}
	for _, s := range a.Restart {
		fmt.Fprintln(&b, "restart", s)
	}
	for _, e := range a.Exec {
		fmt.Fprintln(&b, "exec", e.Service, e.Index)
	}
	return b.String()
}

func TestChanged(t *testing.T) {
	set, err := New([]pod.Trigger{
		{Service: "web", Path: "/p/src", Dir: true, Action: pod.TriggerSync, Target: "/app", Context: "/p", Ignore: []string{"node_modules/", "/p/src/absolute", "*.log", "!keep.log"}},
		{Service: "web", Index: 1, Path: "/p/package.json", Action: pod.TriggerRebuild, Context: "/p"},
		{Service: "web", Index: 2, Path: "/p/conf", Dir: true, Action: pod.TriggerSyncRestart, Target: "/etc/app/", Include: []string{"*.conf"}},
		{Service: "api", Path: "/p", Dir: true, Action: pod.TriggerSyncExec, Target: "/", Context: "/p"},
		{Service: "api", Index: 1, Path: "/p/one", Action: pod.TriggerSync, Target: "/srv/"},
		{Service: "api", Index: 2, Path: "/p/one", Action: pod.TriggerRestart, Target: ""},
	}, map[string][]string{"api": {"**", "!one", "!src/shared"}, "web": {"*", "!app"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ paths, want string }{
		{"/p/src/a.js", "sync web /p/src/a.js>/app/a.js\n"},
		{"/p/src/node_modules/x/y /p/src/absolute /p/src/a.log", ""},
		{"/p/src/keep.log /p/src/sub/a.log", "sync web /p/src/keep.log>/app/keep.log /p/src/sub/a.log>/app/sub/a.log\n"},
		{"/p/src/.git/HEAD /p/src/a~ /p/src/.a.swp /p/src/x/4913 /p/src/.#a /p/src/#a# /p/src/.idea/x /p/src/a___jb_tmp___", ""},
		{"/p/src/.gitignore /p/src/.github/x", "sync web /p/src/.github/x>/app/.github/x /p/src/.gitignore>/app/.gitignore\n"},
		{"/p/src /p /p/source /other", ""},
		{"/p/package.json", "rebuild web\n"},
		{"/p/conf/a.conf /p/conf/b.txt", "sync web /p/conf/a.conf>/etc/app/a.conf\nrestart web\n"},
		{"/p/conf/a.conf /p/package.json", "sync web /p/conf/a.conf>/etc/app/a.conf\nrebuild web\n"},
		{"/p/one", "sync api /p/one>/one /p/one>/srv/one\nrestart api\nexec api 0\n"},
		{"/p/src/shared/x", "sync api /p/src/shared/x>/src/shared/x\nsync web /p/src/shared/x>/app/shared/x\nexec api 0\n"},
	} {
		if got := describe(set.Changed(strings.Fields(test.paths))); got != test.want {
			t.Errorf("%s:\n%swant\n%s", test.paths, got, test.want)
		}
	}
	for dir, want := range map[string]bool{
		"/p/src": false, "/p/src/node_modules": false, "/p/.git": true, "/p/src/.git": true, "/": false, "/other": true, "/p/other": false,
	} {
		if got := set.Skips(dir); got != want {
			t.Errorf("skips %s: %v", dir, got)
		}
	}
}

// A directory that all triggers ignore, with no exception, is not watched.
func TestSkips(t *testing.T) {
	set, err := New([]pod.Trigger{
		{Service: "web", Path: "/p", Dir: true, Action: pod.TriggerSync, Target: "/app", Ignore: []string{"node_modules"}},
		{Service: "web", Path: "/p", Dir: true, Action: pod.TriggerRestart, Context: "/p"},
	}, map[string][]string{"web": {"**/node_modules", "dist"}})
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]bool{"/p/node_modules": true, "/p/a/node_modules": false, "/p/dist": false, "/p/a": false} {
		if got := set.Skips(dir); got != want {
			t.Errorf("skips %s: %v", dir, got)
		}
	}
	if got := set.Paths(); len(got) != 1 || got[0] != "/p" {
		t.Errorf("paths: %q", got)
	}
}

func TestInitial(t *testing.T) {
	set, err := New([]pod.Trigger{
		{Service: "a", Path: "/p", Dir: true, Action: pod.TriggerSyncRestart, Target: "/a", InitialSync: true},
		{Service: "b", Path: "/p", Dir: true, Action: pod.TriggerSync, Target: "/b"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(set.Initial([]string{"/p/x"}), Actions{}); got != "sync a /p/x>/a/x\n" {
		t.Error(got)
	}
	if got := describe(set.Syncs("b", []string{"/p/x"}), Actions{}); got != "sync b /p/x>/b/x\n" {
		t.Error(got)
	}
}

func TestBadPattern(t *testing.T) {
	_, err := New([]pod.Trigger{{Service: "a", Path: "/p", Ignore: []string{"[a"}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "services.a.develop.watch[0].ignore") {
		t.Error(err)
	}
}
