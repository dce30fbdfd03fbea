package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

const (
	// deadline of everything that is waited for; generous, since nothing is measured here.
	deadline = 30 * time.Second
	// pause between two looks at a condition.
	pause = 50 * time.Millisecond
)

// scriptCommands are the commands of testdata/script beyond testscript's own.
func scriptCommands(s *suite) map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		// exits CODE CMD...: CMD ends with exactly this code.
		"exits": cmdExits,
		// wait-for PATTERN CMD...: CMD succeeds, printing PATTERN, before the deadline. With !, fails or prints it no more.
		"wait-for": cmdWaitFor,
		// http URL [PATTERN]: GET URL answers 200 and PATTERN, before the deadline. With !, nobody answers, now.
		"http": cmdHTTP,
		// state SERVICE FIELD PATTERN: a field of `ps -a --format json` becomes what PATTERN says before the deadline.
		"state": cmdState,
		// save VAR CMD...: the environment variable VAR is what CMD prints, trimmed.
		"save": cmdSave,
		// snapshot: remember what the script has on the machine. unchanged: it is the same now. With !, what a pod has there has
		// come, without which nothing would be proved.
		"snapshot":  cmdSnapshot,
		"unchanged": s.cmdUnchanged,
		// kill9 supervisor|PID|FILE: SIGKILL to the project's supervisor, a process, or the process a file names.
		"kill9": s.cmdKill9,
		// listen PORT: this test process listens on PORT until the script ends.
		"listen": cmdListen,
		// push IMAGE FROM VALUE: IMAGE in the registry becomes FROM with the label pct.version=VALUE.
		"push": cmdPush,
		// tmpfs DIR SIZE: a file system of SIZE at DIR until the script ends.
		"tmpfs": cmdTmpfs,
		// private-store DIR: images and layers are kept in DIR from here on.
		"private-store": s.cmdPrivateStore,
	}
}

func usage(ts *testscript.TestScript, ok bool, text string) {
	if !ok {
		ts.Fatalf("usage: %s", text)
	}
}

// until calls try until it returns nil, and gives its last error after the deadline.
func until(try func() error) error {
	end := time.Now().Add(deadline)
	for {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(pause)
	}
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) > 1, "exits CODE CMD...")
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, not %s", code, args[0])
	}
}

// output runs a command of a script in its directory and environment, without logging it.
func output(ts *testscript.TestScript, args []string) (string, error) {
	path := args[0]
	if filepath.Base(path) == path {
		for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
			if _, err := os.Stat(filepath.Join(dir, path)); err == nil {
				path = filepath.Join(dir, path)
				break
			}
		}
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = scriptEnviron(ts)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

// scriptEnviron is the part of a script's environment that pcompose and the shell need.
func scriptEnviron(ts *testscript.TestScript) []string {
	var env []string
	for _, v := range []string{"PATH", "HOME", "PROJECT", "COMPOSE_PROJECT_NAME", "COMPOSE_FILE", "COMPOSE_PROFILES", "PCOMPOSE_ROOT",
		"PCOMPOSE_RUNROOT", "CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF", "PCT_REGISTRY", "PORT", "PORT2", "PORT3", "WORK", "TMPDIR", "ID"} {
		if value := ts.Getenv(v); value != "" {
			env = append(env, v+"="+value)
		}
	}
	return env
}

func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) > 1, "wait-for PATTERN CMD...")
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	err = until(func() error {
		out, err := output(ts, args[1:])
		met := err == nil && pattern.MatchString(out)
		if met != neg {
			return nil
		}
		return errors.Join(err, fmt.Errorf("waited %s in vain for:\n%s", deadline, out))
	})
	if err != nil {
		ts.Fatalf("%v", err)
	}
}

func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) == 1 || len(args) == 2, "http URL [PATTERN]")
	// A new connection each time: the one before may lead to a container that is gone.
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	get := func() error {
		answer, err := client.Get(args[0])
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK || len(args) == 2 && !regexp.MustCompile(args[1]).Match(body) {
			return fmt.Errorf("%s: %s", answer.Status, body)
		}
		_, err = ts.Stdout().Write(body)
		return err
	}
	if neg {
		if get() == nil {
			ts.Fatalf("%s answers", args[0])
		}
		return
	}
	ts.Check(until(get))
}

func cmdState(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 3, "state SERVICE FIELD PATTERN")
	pattern, err := regexp.Compile("^(" + args[2] + ")$")
	ts.Check(err)
	err = until(func() error {
		out, err := output(ts, []string{"pcompose", "ps", "-a", "--format", "json"})
		if err != nil {
			return err
		}
		var seen []string
		// As docker compose: one object a line.
		for decoder := json.NewDecoder(strings.NewReader(out)); decoder.More(); {
			var container map[string]any
			if err := decoder.Decode(&container); err != nil {
				return err
			}
			if container["Service"] == args[0] {
				seen = append(seen, fmt.Sprint(container[args[1]]))
			}
		}
		for _, value := range seen {
			if !pattern.MatchString(value) {
				return fmt.Errorf("%s of %s is %q, not %s", args[1], args[0], seen, args[2])
			}
		}
		if len(seen) == 0 {
			return fmt.Errorf("no container of %s in\n%s", args[0], out)
		}
		return nil
	})
	ts.Check(err)
}

func cmdSave(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) > 1, "save VAR CMD...")
	out, err := output(ts, args[1:])
	ts.Check(err)
	ts.Setenv(args[0], strings.TrimSpace(out))
}

// ownMachine is what the script has on the machine, files among it.
func ownMachine(ts *testscript.TestScript) ([]string, error) {
	runRoot, root := ts.Getenv("PCOMPOSE_RUNROOT"), ts.Getenv("PCOMPOSE_ROOT")
	return machine(ownNames(runRoot, root, ts.Getenv("PROJECT")), runRoot, filepath.Join(root, "projects"))
}

const snapshotFile = ".snapshot"

func cmdSnapshot(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 0, "snapshot")
	now, err := ownMachine(ts)
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), snapshotFile), []byte(strings.Join(now, "\n")), 0o644))
}

func (s *suite) cmdUnchanged(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) == 0, "unchanged")
	before, err := os.ReadFile(filepath.Join(ts.Getenv("WORK"), snapshotFile))
	ts.Check(err)
	now, err := ownMachine(ts)
	ts.Check(err)
	var had []string
	if len(before) > 0 {
		had = strings.Split(string(before), "\n")
	}
	diff := strings.Join(differences(had, now), "\n")
	if !neg {
		if diff != "" {
			ts.Fatalf("the machine changed:\n%s", diff)
		}
		return
	}
	for _, what := range s.world.traces() {
		if !strings.Contains(diff, "+ "+what+" ") {
			ts.Fatalf("no %s is among what came:\n%s", what, diff)
		}
	}
}

func (s *suite) cmdKill9(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "kill9 supervisor|PID|FILE")
	pid, err := strconv.Atoi(args[0])
	if args[0] == "supervisor" {
		pid, err = s.supervisor(ts)
	} else if err != nil {
		pid, err = strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	}
	ts.Check(err)
	ts.Check(unix.Kill(pid, unix.SIGKILL))
}

// supervisor finds the supervisor of the script's pod by its program and arguments: a dead one may still be written down.
func (s *suite) supervisor(ts *testscript.TestScript) (int, error) {
	found := 0
	err := until(func() error {
		all, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		for _, process := range all {
			exe, _ := os.Readlink(process + "/exe")
			line, _ := os.ReadFile(process + "/cmdline")
			argv := strings.Split(string(line), "\x00")
			if exe == s.binary && len(argv) > 1 && argv[1] == "supervisor" && strings.Contains(string(line), ts.Getenv("PCOMPOSE_RUNROOT")) {
				found, err = strconv.Atoi(filepath.Base(process))
				return err
			}
		}
		return errors.New("no supervisor runs")
	})
	return found, err
}

func cmdListen(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1 || len(args) == 2 && args[1] == "udp", "listen PORT [udp]")
	var listener io.Closer
	var err error
	if len(args) == 2 {
		listener, err = net.ListenPacket("udp", ":"+args[0])
	} else {
		listener, err = net.Listen("tcp", ":"+args[0])
	}
	ts.Check(err)
	ts.Defer(func() { listener.Close() })
}

func cmdPush(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 3, "push IMAGE FROM VALUE")
	at := func(image string) name.Reference {
		ref, err := name.ParseReference(ts.Getenv("PCT_REGISTRY")+"/"+image, name.Insecure)
		ts.Check(err)
		return ref
	}
	image, err := remote.Image(at(args[1]))
	ts.Check(err)
	file, err := image.ConfigFile()
	ts.Check(err)
	config := *file.Config.DeepCopy()
	config.Labels = map[string]string{"pct.version": args[2]}
	image, err = mutate.Config(image, config)
	ts.Check(err)
	ts.Check(remote.Write(at(args[0]), image))
}

func cmdTmpfs(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "tmpfs DIR SIZE")
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(unix.Mount("pct", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func (s *suite) cmdPrivateStore(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "private-store DIR")
	conf, store := filepath.Join(ts.Getenv("WORK"), ".storage.conf"), ts.MkAbs(args[0])
	ts.Check(s.storageConf(conf, store))
	ts.Setenv("CONTAINERS_STORAGE_CONF", conf)
	ts.Defer(func() { _ = unix.Unmount(filepath.Join(store, "overlay"), unix.MNT_DETACH) })
}
