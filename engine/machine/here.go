package machine

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/engine/doctor"
)

// here is the kernel that this process runs on.
type here struct{ program string }

// Here asks the kernel that this process runs on. Tries are made by processes of program, whose main must call Attempt
// for the command TryCommand.
func Here(program string) Kernel { return here{program} }

func (here) Now() time.Time { return time.Now() }

// Synchronized is what an NTP client told the kernel: STA_UNSYNC of adjtimex(2).
func (here) Synchronized() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

func (here) Release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func (here) Disk(path string) (doctor.Disk, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return doctor.Disk{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	block := uint64(st.Bsize)
	return doctor.Disk{
		Path: path, Free: st.Bavail * block, Size: st.Blocks * block, Inodes: st.Files, FreeInodes: st.Ffree,
		ReadOnly: st.Flags&unix.ST_RDONLY != 0,
	}, nil
}

func (here) OpenFiles() (limit uint64, mayRaise bool) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, false
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	err := unix.Capget(&header, &caps[0])
	return lim.Max, err == nil && caps[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

// MayMapIDs reads the permitted set of a file's capabilities: the second word of vfs_cap_data (capabilities(7)).
func (here) MayMapIDs(path string) bool {
	data := make([]byte, 24)
	n, err := unix.Getxattr(path, "security.capability", data)
	if err != nil || n < 8 {
		return false
	}
	return binary.LittleEndian.Uint32(data[4:8])&(1<<unix.CAP_SETUID|1<<unix.CAP_SETGID) != 0
}

// answerWithin is how long a program may take for its version.
const answerWithin = 5 * time.Second

func (here) Output(ctx context.Context, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// A child of it that keeps the pipe must not keep us.
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (here) Writable(path string) bool { return unix.Access(path, unix.W_OK) == nil }

func (here) OpenTun() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err == nil {
		err = f.Close()
	}
	return err
}
