// Probe is the only program in the suite's containers.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	switch verb, arg := os.Args[1], append(os.Args[2:], "")[0]; verb {
	case "exit":
		code, _ := strconv.Atoi(arg)
		os.Exit(code)
	case "say": // a line on each stream
		fmt.Println("out " + arg)
		fmt.Fprintln(os.Stderr, "err "+arg)
	case "env":
		fmt.Println(os.Getenv(arg))
	case "cat":
		io.Copy(os.Stdout, os.Stdin)
	case "term": // says "ready", ends with 7 on SIGTERM
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("ready")
		<-c
		os.Exit(7)
	case "tree": // a grandchild and a child that outlive nobody's patience
		cmd := exec.Command("/proc/self/exe", "sleep")
		if arg != "" {
			cmd = exec.Command("/proc/self/exe", "tree")
		}
		cmd.Stdout = os.Stdout
		cmd.Start()
		if arg == "" {
			fmt.Println("ready")
		}
		cmd.Wait()
	case "sleep":
		time.Sleep(time.Hour)
	case "tty": // says whether it has one, waits until it is 30 rows high, and repeats what is typed
		resized := make(chan os.Signal, 1)
		signal.Notify(resized, syscall.SIGWINCH)
		_, err := os.Stdin.Stat()
		t := make([]byte, 64)
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, 0x5401, uintptr(unsafe.Pointer(&t[0])))
		fmt.Println("tty", err == nil && errno == 0)
		for height() != 30 {
			<-resized
		}
		fmt.Println("resized")
		n, _ := os.Stdin.Read(t)
		fmt.Printf("got %q\n", t[:n])
	}
}

// height of the terminal by TIOCGWINSZ, see ioctl_tty(2).
func height() uint16 {
	var size [4]uint16
	syscall.Syscall(syscall.SYS_IOCTL, 0, 0x5413, uintptr(unsafe.Pointer(&size)))
	return size[0]
}
