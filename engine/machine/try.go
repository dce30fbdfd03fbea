package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/sandbox"
)

// TryCommand is the hidden command that Here starts: `pcompose try-machine`.
const TryCommand = "try-machine"

// Trial is what the kernel said to each try; "" is that it can. Userns is of the namespaces themselves: without them
// the others say nothing.
type Trial struct{ Userns, Overlay, Veth, Bridge, Rules string }

// Try starts Attempt in mount and network namespaces of its own, of a user in a user namespace of its own too. The
// folder it mounts in is removed; where this process is killed, by the next.
func (h here) Try(ctx context.Context, dir string) (t Trial) {
	sweep(dir)
	work, err := newWork(dir)
	if err != nil {
		return h.attempt(ctx, "", Trial{Overlay: err.Error()})
	}
	defer func() {
		removeWork(work.Name())
		work.Close()
	}()
	return h.attempt(ctx, work.Name(), Trial{})
}

// attempt adds what a process says that tries. Without a folder it mounts nothing.
func (h here) attempt(ctx context.Context, work string, t Trial) Trial {
	cmd := exec.CommandContext(ctx, h.program, TryCommand)
	cmd.Dir = work
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Userns = strings.TrimSpace(fmt.Sprintf("cannot make namespaces: %v %s", err, said.Bytes()))
		return t
	}
	mounting := t.Overlay
	if err := json.Unmarshal(out.Bytes(), &t); err != nil {
		t.Userns = fmt.Sprintf("cannot make namespaces: %v", err)
	}
	if mounting != "" {
		t.Overlay = mounting
	}
	return t
}

// Attempt is TryCommand: it tries in the namespaces it was started in, which end with it, and in the working directory,
// and writes a Trial as JSON.
func Attempt(out io.Writer) error {
	var t Trial
	// What is mounted here must be seen nowhere else.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Userns = fmt.Sprintf("a mount namespace was made, and cannot be used: %v", err)
		return json.NewEncoder(out).Encode(t)
	}
	t.Overlay = text(tryOverlay(os.Geteuid() != 0 || inUserNamespace()))
	network := sandbox.Try()
	t.Veth, t.Bridge, t.Rules = text(network.Veth), text(network.Bridge), text(network.Rules)
	return json.NewEncoder(out).Encode(t)
}

// inUserNamespace says whether not all IDs are here, as in the first one (user_namespaces(7)).
func inUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(b)), " ") != "0 0 4294967295"
}

// tryOverlay mounts in the working directory, as containers-storage does, and removes a file of the lower layer, which
// takes what upper layers on NFS and the like cannot keep.
func tryOverlay(user bool) error {
	for _, dir := range []string{"lower", "upper", "work", "root"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join("lower", "file"), []byte("below"), 0o600); err != nil {
		return err
	}
	// Names relative to the working directory: its own may have a comma.
	options := "lowerdir=lower,upperdir=upper,workdir=work"
	if user {
		options += ",userxattr"
	}
	if err := unix.Mount("overlay", "root", "overlay", 0, options); err != nil {
		return fmt.Errorf("cannot mount overlay: %w", err)
	}
	defer func() { _ = unix.Unmount("root", unix.MNT_DETACH) }() // it goes with the namespace anyway
	if err := os.Remove(filepath.Join("root", "file")); err != nil {
		return fmt.Errorf("overlay is mounted, and does not take changes: %w", err)
	}
	return nil
}
