package keeper

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test binary the supervisor when its keeper runs it as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[0] == "pct-supervisor" {
		supervise(os.Args[1], os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// supervise does what the FIFO dir/in says, a line at a time, and answers on dir/out.
func supervise(mode, dir string) {
	if mode == "crash" {
		f, _ := os.OpenFile(filepath.Join(dir, "starts"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		f.Write([]byte{'x'})
		os.Exit(3)
	}
	if mode == "garbage" {
		garbage(dir)
	}
	c, err := Connect()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	in, err := os.Open(filepath.Join(dir, "in"))
	if err != nil {
		os.Exit(1)
	}
	for {
		// One line, one answer: whichever supervisor lives takes it.
		var op, arg string
		if n, _ := fmt.Fscan(in, &op, &arg); n != 2 {
			in.Close()
			if in, err = os.Open(filepath.Join(dir, "in")); err != nil {
				os.Exit(1)
			}
			continue
		}
		text := do(c, op, arg)
		out, err := os.OpenFile(filepath.Join(dir, "out"), os.O_WRONLY, 0)
		if err != nil {
			os.Exit(1)
		}
		fmt.Fprintln(out, text)
		out.Close()
	}
}

func do(c *Client, op, arg string) string {
	switch op {
	case "pid":
		return fmt.Sprint(os.Getpid())
	case "put": // a pipe that holds its own key
		r, w, _ := os.Pipe()
		defer r.Close()
		defer w.Close()
		w.WriteString(arg + "\n")
		fds, err := c.Put(arg, r, w)
		return fmt.Sprint(len(fds), " ", err)
	case "fill":
		return fill(c)
	case "list":
		return list(c)
	case "drop":
		return fmt.Sprint(c.Drop(arg))
	case "orphan": // sh ends at once, what it leaves is the keeper's
		err := exec.Command("/bin/sh", "-c", "("+strings.ReplaceAll(arg, "_", " ")+") &").Run()
		return fmt.Sprint(err)
	case "next":
		after, _ := strconv.ParseUint(arg, 10, 64)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		e, err := c.Next(ctx, after)
		return fmt.Sprint(e.Seq, " ", e.Status.ExitStatus(), " ", err)
	case "quit":
		return fmt.Sprint(c.Quit())
	case "exit":
		os.Exit(0)
	}
	return "?"
}

func list(c *Client) string {
	all, err := c.List()
	if err != nil {
		return err.Error()
	}
	good := 0
	for key, files := range all {
		buf := make([]byte, 200)
		n, _ := files[0].Read(buf)
		if string(buf[:n]) == key+"\n" {
			files[1].WriteString(key + "\n")
			good++
		}
		for _, f := range files {
			f.Close()
		}
	}
	return fmt.Sprint(len(all), " ", good)
}

func fill(c *Client) string {
	for i := 0; ; i++ {
		if got := do(c, "put", fmt.Sprintf("key-%d", i)); got != "2 <nil>" {
			return fmt.Sprint(i, " ", got)
		}
	}
}

// garbage sends everything that no client would, then goes on as a supervisor.
func garbage(dir string) {
	flag := filepath.Join(dir, "garbage-sent")
	if _, err := os.Stat(flag); err == nil {
		return
	}
	var nine []int
	for i := 0; i < 9; i++ {
		fd, _ := syscall.Open("/dev/null", syscall.O_RDONLY, 0)
		nine = append(nine, fd)
	}
	send := func(text string, fds ...int) {
		syscall.Sendmsg(3, []byte(text), syscall.UnixRights(fds...), nil, syscall.MSG_DONTWAIT)
	}
	for i := 0; i < 256; i++ {
		if i != 'Q' {
			send(string([]byte{byte(i)}))
			send(string([]byte{byte(i)}), nine[:3]...)
			send(string([]byte{byte(i)})+strings.Repeat("x", 300), nine[:1]...)
		}
	}
	send("")
	send("Pnine", nine...)
	send("Pfive", nine[:5]...)
	send("Pnone")
	send("P", nine[0])
	send("G\xff\xff\xff\xff")
	send("Q and more")
	send(strings.Repeat("y", 100000))
	os.WriteFile(flag, nil, 0o600)
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
}
