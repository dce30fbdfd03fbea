package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// world is what the scripts find on the machine and who they run as. PCT_WORLD names it. Scripts ask for it by the
// conditions [root], [user] and [bare].
type world struct {
	name string
	// user scripts run as an unprivileged user, bare ones where nothing is installed.
	user, bare bool
}

func findWorld() (world, error) {
	worlds := []world{{name: "root"}, {name: "bare", bare: true}, {name: "user", user: true}, {name: "user-bare", user: true, bare: true}}
	name := os.Getenv("PCT_WORLD")
	if name == "" {
		name = "root"
	}
	var names []string
	for _, w := range worlds {
		if w.name == name {
			return w, nil
		}
		names = append(names, w.name)
	}
	return world{}, fmt.Errorf("PCT_WORLD is %q, not one of %s", name, strings.Join(names, ", "))
}

// condition is what a script may ask for.
func (w world) condition(name string) (bool, error) {
	switch name {
	case "root":
		return !w.user, nil
	case "user":
		return w.user, nil
	case "bare":
		return w.bare, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// traces are what a running pod has on the machine: a user's has nothing of the host's network.
func (w world) traces() []string {
	if w.user {
		return []string{"process", "file"}
	}
	return []string{"process", "file", "link", "nftables"}
}

// toolsVar names the folder with what a bare world hides, for scripts to look at the machine with.
const toolsVar = "PCT_E2E_TOOLS"

// helpersDir, below the folder of tools, is the PATH of a bare world: a user cannot do without newuidmap and newgidmap.
const helpersDir = ".helpers"

// runBare runs the whole program once more in a mount namespace where the programs that pcompose could use are empty
// files. Scripts find their copies in a folder that pcompose is not told of: its PATH names what users need, for root nothing at all.
func runBare(w world) (code int, err error) {
	tools, err := os.MkdirTemp("/var/tmp", "pct-tools-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tools)) }()
	if err := os.Chmod(tools, 0o755); err != nil {
		return 1, err
	}
	if err := w.helpers(filepath.Join(tools, helpersDir)); err != nil {
		return 1, err
	}
	nothing := filepath.Join(tools, ".nothing")
	keep, hide := fmt.Sprintf("touch %s\n", nothing), "" // all are kept before any is hidden: some are links to others
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"} {
		for _, pattern := range []string{
			"crun*", "runc", "youki", "catatonit", "tini*", "docker-init", "pasta*", "passt*", "slirp4netns", "nft", "ip", "iptables*", "ip6tables*", "xtables*",
			"conmon", "netavark", "aardvark-dns", "fuse-overlayfs", "mount", "umount", "mount.*", "criu", "git", "podman", "buildah", "docker*",
		} {
			found, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is well formed
			for _, path := range found {
				keep += fmt.Sprintf("cp -f %s %s/\n", path, tools)
				hide += fmt.Sprintf("mount --bind %s %s\n", nothing, path)
			}
		}
	}
	// mount itself is among what is hidden: the commands are run by a copy of it.
	script := fmt.Sprintf("set -e\n%s\nmount() { %s/mount \"$@\"; }\n%s\n", keep, tools, hide)
	cmd := exec.Command("sh", append([]string{"-c", script + `exec "$0" "$@"`, "/proc/" + strconv.Itoa(os.Getpid()) + "/exe"}, os.Args[1:]...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), toolsVar+"="+tools, "PATH="+tools+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return exitCode(cmd.Run())
}

// helpers makes the PATH of a bare world.
func (w world) helpers(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil || !w.user {
		return err
	}
	for _, name := range []string{"newuidmap", "newgidmap"} {
		path, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(path, filepath.Join(dir, name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// shim is the program that scripts run as pcompose where it shall find nothing by PATH.
func (w world) shim(binary string) (string, error) {
	if !w.bare {
		return binary, nil
	}
	tools := os.Getenv(toolsVar)
	shim := filepath.Join(tools, "pcompose")
	text := fmt.Sprintf("#!/bin/bash\nPATH=%s exec -a \"$0\" %s \"$@\"\n", filepath.Join(tools, helpersDir), binary)
	return shim, os.WriteFile(shim, []byte(text), 0o755)
}

// TestMain runs the whole program once more as another user where the world is one of users: what scripts do by
// themselves, they do as that user too.
func TestMain(m *testing.M) {
	w, err := findWorld()
	code := 1
	switch {
	case err != nil:
	case w.bare && os.Getenv(toolsVar) == "" && os.Getenv("PCT_E2E") != "":
		code, err = runBare(w)
	case w.user && os.Geteuid() == 0 && os.Getenv("PCT_E2E") != "":
		code, err = runAsUser()
	default:
		code = m.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// userDirVar names the folder of the suite, which root removes: files of the user's containers have owners that only a
// user namespace knows.
const userDirVar = "PCT_E2E_DIR"

func runAsUser() (code int, err error) {
	u, err := unprivileged()
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("/var/tmp", "pct-e2e-")
	if err != nil {
		return 1, err
	}
	if os.Getenv("PCT_KEEP") == "" {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if tools := os.Getenv(toolsVar); tools != "" {
		if err := os.Chown(tools, u.uid, u.gid); err != nil {
			return 1, err
		}
	}
	runtime := filepath.Join("/run/user", strconv.Itoa(u.uid))
	if err := errors.Join(
		os.Chown(dir, u.uid, u.gid),
		os.MkdirAll(runtime, 0o700), os.Chown(runtime, u.uid, u.gid),
		// As systems have them that users run containers on.
		os.Chmod("/dev/net/tun", 0o666),
		os.Chmod(os.Getenv("CONTAINERS_REGISTRIES_CONF"), 0o644),
	); err != nil {
		return 1, fmt.Errorf("cannot prepare the machine for a user: %w", err)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return !strings.HasPrefix(v, "PCT_") && !strings.HasPrefix(v, "CONTAINERS_REGISTRIES_CONF=") && !strings.HasPrefix(v, "PATH=") && !strings.HasPrefix(v, "GO")
	}), "HOME="+u.home, "USER="+u.name, "XDG_RUNTIME_DIR="+runtime, userDirVar+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(u.uid), Gid: uint32(u.gid)}}
	if code, err = exitCode(cmd.Run()); err != nil {
		err = fmt.Errorf("cannot run the tests as user %s, who must be able to read this checkout: %w", u.name, err)
	}
	return code, err
}

// testUser is an ordinary user with ranges in /etc/subuid and /etc/subgid.
type testUser struct {
	name, home string
	uid, gid   int
}

// unprivileged finds or makes the user that the tests run as, and leaves them on the machine.
func unprivileged() (testUser, error) {
	t := testUser{name: "pct-user"}
	found, err := user.Lookup(t.name)
	if errors.As(err, new(user.UnknownUserError)) {
		out, addErr := exec.Command("useradd", "--create-home", t.name).CombinedOutput()
		if addErr != nil {
			return t, fmt.Errorf("cannot add user %s: %w\n%s", t.name, addErr, out)
		}
		found, err = user.Lookup(t.name)
	}
	if err != nil {
		return t, err
	}
	t.home = found.HomeDir
	t.uid, err = strconv.Atoi(found.Uid)
	if err == nil {
		t.gid, err = strconv.Atoi(found.Gid)
	}
	return t, err
}
