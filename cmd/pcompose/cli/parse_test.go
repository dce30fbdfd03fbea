package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/planner"
)

// testEnv is an environment without a world: variables only and a fixed clock; what is told on standard error is kept.
func testEnv(vars map[string]string) (*Env, *bytes.Buffer) {
	var out, err bytes.Buffer
	now := func() time.Time { return time.Unix(1700000000, 0) }
	env := &Env{vars: vars, dir: "/nowhere", now: now}
	env.ui = &ui.UI{In: strings.NewReader(""), Out: ui.Output{Writer: &out}, Err: ui.Output{Writer: &err}, Mode: ui.Plain, Now: now}
	return env, &err
}

// parse runs a command line with a run that only keeps the options.
func parse[O any](env *Env, build func(*Env, action[O]) *cobra.Command, args ...string) (*O, error) {
	var got *O
	cmd := build(env, func(_ context.Context, _ *Env, opt *O) error {
		got = opt
		return nil
	})
	root := &cobra.Command{Use: "pcompose", SilenceErrors: true, SilenceUsage: true}
	root.SetFlagErrorFunc(explainFlag)
	env.global.bind(root.Flags(), env)
	root.AddCommand(cmd)
	root.SetArgs(append([]string{cmd.Name()}, args...))
	return got, root.ExecuteContext(context.Background())
}

func line(s string) []string { return strings.Fields(s) }

func TestParseUp(t *testing.T) {
	env, _ := testEnv(map[string]string{"COMPOSE_REMOVE_ORPHANS": "1"})
	got, err := parse(env, newUp, line("-d --wait-timeout 5 --pull always -t 3 --scale web=2 --scale db=0 -V --no-deps web db")...)
	if err != nil {
		t.Fatal(err)
	}
	grace := 3 * time.Second
	want := &upOptions{
		selection: selection{
			services: []string{"web", "db"}, renewAnonymous: true, removeOrphans: true, pull: "always", noDeps: true,
			grace: &grace, scale: map[string]int{"web": 2, "db": 0},
		},
		detach: true, waitTimeout: 5 * time.Second, menu: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	opt := got.options()
	if !opt.OnlyNamed || !opt.RenewAnonymous || !opt.RemoveOrphans || opt.Recreate != planner.RecreateChanged || *opt.Grace != grace {
		t.Errorf("got %+v", opt)
	}
}

func TestParseUpImplies(t *testing.T) {
	env, _ := testEnv(nil)
	got, err := parse(env, newUp, "--exit-code-from", "tests")
	if err != nil || !got.abortOnExit {
		t.Errorf("--exit-code-from does not abort on exit: %+v, %v", got, err)
	}
	got, err = parse(env, newUp, "--wait")
	if err != nil || !got.detach || !got.options().Wait {
		t.Errorf("--wait does not detach: %+v, %v", got, err)
	}
	got, err = parse(env, newUp)
	if err != nil || got.options().Services != nil {
		t.Errorf("no services are not all services: %+v, %v", got, err)
	}
}

func TestParseUpRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--force-recreate --no-recreate":                         "contradict",
		"-d --abort-on-container-exit":                           "show no logs",
		"--abort-on-container-exit --abort-on-container-failure": "contradict",
		"--pull allways":                                         `did you mean "always"?`,
		"--no-start --wait":                                      "starts nothing",
		"--scale web":                                            "SERVICE=NUM",
		"-t soon":                                                "seconds",
		"--detatch":                                              "did you mean --detach?",
		"--wait-timeout x":                                       `--wait-timeout: "x" is not a number`,
		"--wait-timeout 99999999999999999999":                    "is out of range",
		"-d=x":                                                   `--detach: "x" is not true or false`,
		"-p name":                                                "stands in front of the command",
	} {
		env, _ := testEnv(nil)
		if got, err := parse(env, newUp, line(args)...); err == nil || got != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}

func TestParseDown(t *testing.T) {
	env, _ := testEnv(nil)
	got, err := parse(env, newDown, line("-v -t 0 --rmi local --remove-orphans web")...)
	if err != nil {
		t.Fatal(err)
	}
	grace := time.Duration(0)
	if want := (&downOptions{services: []string{"web"}, volumes: true, removeOrphans: true, images: "local", grace: &grace}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got, _ := parse(env, newDown); got.grace != nil {
		t.Errorf("a grace nobody gave is %v", got.grace)
	}
}

func TestParseLogs(t *testing.T) {
	env, _ := testEnv(nil)
	got, err := parse(env, newLogs, line("-f -n 5 --since 10m --until 2026-01-02T03:04:05Z -t --no-log-prefix --no-color --index 2 web")...)
	if err != nil {
		t.Fatal(err)
	}
	want := &logsOptions{
		services: []string{"web"}, follow: true, tail: 5, since: env.now().Add(-10 * time.Minute), until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		timestamps: true, noPrefix: true, noColour: true, index: 2,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for args, tail := range map[string]int{"": -1, "--tail all": -1, "--tail=0": 0} {
		if got, err := parse(env, newLogs, line(args)...); err != nil || got.tail != tail {
			t.Errorf("%q: got %+v, %v", args, got, err)
		}
	}
	if _, err := parse(env, newLogs, "--since", "yesterday"); err == nil || !strings.Contains(err.Error(), "neither a time") {
		t.Errorf("got %v", err)
	}
}

func TestParseExec(t *testing.T) {
	env, _ := testEnv(map[string]string{"FROM": "caller"})
	got, err := parse(env, newExec, line("-T -u 33:33 -e A=b=c -e FROM -e UNSET --index 2 web ls -la -T")...)
	if err != nil {
		t.Fatal(err)
	}
	if !got.noTTY || got.user != "33:33" || got.index != 2 || strings.Join(got.args, " ") != "web ls -la -T" {
		t.Errorf("got %+v", got)
	}
	if pairs := env.pairs(got.env); !reflect.DeepEqual(pairs, map[string]string{"A": "b=c", "FROM": "caller"}) {
		t.Errorf("got %v", pairs)
	}
	if got, err := parse(env, newExec, line("--no-TTY web ls")...); err != nil || !got.noTTY {
		t.Errorf("--no-TTY: got %+v, %v", got, err)
	}
}

func TestParsePs(t *testing.T) {
	env, _ := testEnv(nil)
	got, err := parse(env, newPs, line("-a -q --services --format json --status running --filter status=exited --no-trunc web")...)
	if err != nil {
		t.Fatal(err)
	}
	states, err := got.wanted()
	if err != nil || !reflect.DeepEqual(states, []string{"running", "exited"}) || !got.all || !got.quiet || !got.services || !got.noTrunc || got.args[0] != "web" {
		t.Errorf("got %+v, %v, %v", got, states, err)
	}
	got, _ = parse(env, newPs, line("--status runningg")...)
	if _, err := got.wanted(); err == nil || !strings.Contains(err.Error(), `did you mean "running"?`) {
		t.Errorf("got %v", err)
	}
}

func TestFilters(t *testing.T) {
	env, _ := testEnv(nil)
	for filter, want := range map[string]string{
		"foo": "arguments to --filter should be in form KEY=VAL", "foo=bar": "unknown filter foo", "status=nope": "--status is one of created",
	} {
		got, _ := parse(env, newPs, "--filter", filter)
		if _, err := got.wanted(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("ps --filter %s: %v", filter, err)
		}
	}
	for filter, want := range map[string]string{
		"foo": `bad format of filter "foo" (expected name=value)`, "foo=bar": "invalid filter 'foo'", "name=[": "filter name=[ is no regular expression",
	} {
		if err := runLs(t.Context(), env, &lsOptions{filters: []string{filter}, format: "table"}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("ls --filter %s: %v", filter, err)
		}
	}
}

func TestParseCp(t *testing.T) {
	for args, want := range map[string]copied{
		"-a -L --index 2 f web:/x":       {"web", true, engine.Copy{Outside: "f", Inside: "/x", Archive: true, Follow: true}},
		"--all web:/x/. -":               {"web", false, engine.Copy{Inside: "/x/.", Outside: "-"}},
		"- web:/x":                       {"web", true, engine.Copy{Outside: "-", Inside: "/x"}},
		"./a:b web:x":                    {"web", true, engine.Copy{Outside: "./a:b", Inside: "x"}},
		"/a:b web:c:d":                   {"web", true, engine.Copy{Outside: "/a:b", Inside: "c:d"}},
		"--archive --follow-link a:. b/": {"a", false, engine.Copy{Inside: ".", Outside: "b/", Archive: true, Follow: true}},
	} {
		env, _ := testEnv(nil)
		got, err := parse(env, newCp, line(args)...)
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		if c, err := got.direction(); err != nil || c != want {
			t.Errorf("%s: got %+v, %v", args, c, err)
		}
	}
	for args, want := range map[string]string{"a b": "direction", "a:x b:y": "between services"} {
		env, _ := testEnv(nil)
		got, err := parse(env, newCp, line(args)...)
		if err == nil {
			_, err = got.direction()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

// TestParseArguments counts the arguments of commands that take some.
func TestParseArguments(t *testing.T) {
	fails := func(name string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	env, _ := testEnv(nil)
	_, err := parse(env, newCp, line("a")...)
	fails("cp", err, "needs a source and a destination")
	_, err = parse(env, newCp, line("a b c")...)
	fails("cp", err, `not "c"`)
	_, err = parse(env, newExport)
	fails("export", err, "needs a service")
	_, err = parse(env, newExport, line("a b")...)
	fails("export", err, `not "b"`)
	_, err = parse(env, newCommit)
	fails("commit", err, "needs a service")
	_, err = parse(env, newCommit, line("a b c")...)
	fails("commit", err, "takes a service")
	_, err = parse(env, newCommit, line("--index x a")...)
	fails("commit", err, "not a number")
	_, err = parse(env, newStats, line("a b")...)
	fails("stats", err, "at most 1")
	_, err = parse(env, newEvents, line("--since soon")...)
	fails("events", err, "neither a time")
}

// TestParseRest reads one line of every command that has nothing more to say.
func TestParseRest(t *testing.T) {
	env, _ := testEnv(nil)
	check := func(name string, got any, err error, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, want)
		}
	}
	start, err := parse(env, newStart, line("--wait --wait-timeout 4 a b")...)
	check("start", start, err, &startOptions{services: []string{"a", "b"}, wait: true, waitTimeout: 4})
	restart, err := parse(env, newRestart, line("--no-deps a")...)
	check("restart", restart, err, &restartOptions{services: []string{"a"}, noDeps: true})
	kill, err := parse(env, newKill, line("-s TERM")...)
	check("kill", kill, err, &killOptions{services: []string{}, signal: "TERM"})
	rm, err := parse(env, newRm, line("-fsv a")...)
	check("rm", rm, err, &rmOptions{services: []string{"a"}, force: true, stop: true, volumes: true})
	pull, err := parse(env, newPull, line("-q --policy missing --ignore-pull-failures --include-deps a")...)
	check("pull", pull, err, &pullOptions{services: []string{"a"}, quiet: true, policy: "missing", ignoreFailures: true, withDepends: true})
	port, err := parse(env, newPort, line("--protocol udp --index 2 a 53")...)
	check("port", port, err, &portOptions{args: []string{"a", "53"}, protocol: "udp", index: 2})
	ls, err := parse(env, newLs, line("-aq --filter name=x --format json")...)
	check("ls", ls, err, &lsOptions{all: true, quiet: true, filters: []string{"name=x"}, format: "json"})
	wait, err := parse(env, newWait, line("--down-project a")...)
	check("wait", wait, err, &waitOptions{services: []string{"a"}, downProject: true})
	version, err := parse(env, newVersion, line("--short -f json")...)
	check("version", version, err, &versionOptions{short: true, format: "json"})
	images, err := parse(env, newImages, line("-q a")...)
	check("images", images, err, &imagesOptions{services: []string{"a"}, quiet: true, format: "table"})
	export, err := parse(env, newExport, line("-o f --index 2 a")...)
	check("export", export, err, &exportOptions{args: []string{"a"}, output: "f", index: 2})
	commit, err := parse(env, newCommit, line("-a me -m why -c USER=x -c CMD=y -p=false --index 2 a b:c")...)
	check("commit", commit, err, &commitOptions{args: []string{"a", "b:c"}, author: "me", message: "why", changes: []string{"USER=x", "CMD=y"}, index: 2})
	commit, err = parse(env, newCommit, line("a")...)
	check("commit", commit, err, &commitOptions{args: []string{"a"}, pause: true})
	events, err := parse(env, newEvents, line("--json --since 10m --until 2026-01-02T03:04:05Z a b")...)
	check("events", events, err, &eventsOptions{services: []string{"a", "b"}, json: true, since: env.now().Add(-10 * time.Minute), until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	stats, err := parse(env, newStats, line("-a --no-stream --no-trunc --format json a")...)
	check("stats", stats, err, &statsOptions{args: []string{"a"}, all: true, noStream: true, noTrunc: true, format: "json"})
	scale, err := parse(env, newScale, line("--no-deps a=2")...)
	check("scale", scale.args, err, []string{"a=2"})
	plan, err := parse(env, newPlan, line("--format json --force-recreate a")...)
	check("plan", []any{plan.format, plan.forceRecreate, plan.services}, err, []any{"json", true, []string{"a"}})
	create, err := parse(env, newCreate, line("--no-recreate a")...)
	check("create", []any{create.noStart, create.noRecreate, create.services}, err, []any{true, true, []string{"a"}})
	config, err := parse(env, newConfig, line("--hash * -o out -q --services")...)
	check("config", config, err, &configOptions{services: []string{}, hash: "*", output: "out", quiet: true, list: "services"})
}

func TestSignalName(t *testing.T) {
	for given, want := range map[string]string{"SIGTERM": "SIGTERM", "term": "SIGTERM", "15": "SIGTERM", "9": "SIGKILL", "35": "35", "SIGRTMIN+3": "SIGRTMIN+3", "rtmax-30": "SIGRTMAX-30", "SIGRTMIN": "SIGRTMIN"} {
		if got, err := signalName(given); err != nil || got != want {
			t.Errorf("%s: got %q, %v", given, got, err)
		}
	}
	for _, s := range []string{"SIGNOPE", "SIGRTMIN+31", "SIGRTMAX+1", "SIGRTMIN3"} {
		if _, err := signalName(s); err == nil {
			t.Errorf("%s is no signal", s)
		}
	}
}

// TestRun runs command lines that fail before anything is looked at, as main does.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		args string
		vars []string
		code int
		want string
	}{
		{"pss", nil, 1, `pcompose has no command "pss": did you mean "ps"?`},
		{"-d up", nil, 1, "flag -d of up stands behind it: pcompose up -d"},
		{"--detach up", nil, 1, "flag --detach of up stands behind it: pcompose up --detach"},
		{"-d ps", nil, 1, "pcompose has no flag -d"},
		{"volume lss", nil, 1, `pcompose volume has no command "lss": did you mean "ls"?`},
		{"--progres x ps", nil, 1, "pcompose has no flag --progres: did you mean --progress?"},
		{"--ansi sometimes ps", nil, 1, "--ansi is one of auto, always, never"},
		{"-p Upper ps", nil, 1, `project name "Upper" is not valid`},
		{"ps", []string{"COMPOSE_PROGRESS=fancy"}, 1, "--progress is one of"},
		{"ps", []string{"COMPOSE_PARALLEL_LIMIT=many"}, 1, "not a number"},
		{"exec web", nil, 1, "exec needs a service and a command"},
		{"bridge app", nil, 1, "pcompose has no `bridge` yet"},
		{"ls foo", nil, 1, `pcompose ls takes no arguments, such as "foo"`},
		{"image tag busybox", nil, 1, "pcompose image tag needs IMAGE and NAME: see"},
		{"image tag a b c", nil, 1, `takes IMAGE and NAME, and not "c"`},
		{"image rm", nil, 1, "pcompose image rm needs IMAGE...: see"},
		{"version --short", nil, 0, ""},
	} {
		dir := t.TempDir()
		out, err := os.Create(dir + "/out")
		if err != nil {
			t.Fatal(err)
		}
		code := Run(t.Context(), append([]string{"pcompose"}, line(tt.args)...), Streams{In: os.Stdin, Out: out, Err: out}, tt.vars, Build{Version: "v1.2.3"})
		got, err := os.ReadFile(dir + "/out")
		if err != nil {
			t.Fatal(err)
		}
		if code != tt.code || !strings.Contains(string(got), tt.want) {
			t.Errorf("%s: got %d, %s\nwant %d, %s", tt.args, code, got, tt.code, tt.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{errors.New("cannot"), 1, "cannot\n"},
		{exit{code: 2}, 2, ""},
		{exit{127, errors.New("no such program")}, 127, "no such program\n"},
		{interrupted{2}, 130, ""},
		{errors.Join(errors.New("cannot start"), interrupted{15}), 143, ""},
	} {
		env, stderr := testEnv(nil)
		if code := env.end(tt.err); code != tt.code || stderr.String() != tt.says {
			t.Errorf("%v: got %d, %q", tt.err, code, stderr)
		}
	}
}
