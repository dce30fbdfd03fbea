// Command flow sends bytes from one place to another and tells how fast: an iperf for images that have none.
//
//	flow serve ADDRESS           takes what comes and answers with how much it was
//	flow send ADDRESS SECONDS    sends for so long and prints MB/s, as the other side received it
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

func main() {
	err := errors.New("usage: flow serve ADDRESS | send ADDRESS SECONDS")
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		err = serve(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "send":
		err = send(os.Args[2], os.Args[3])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "flow:", err)
		os.Exit(1)
	}
}

// chunk is what one write sends.
const chunk = 128 << 10

func serve(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			buffer, total := make([]byte, chunk), uint64(0)
			for {
				n, err := c.Read(buffer)
				total += uint64(n)
				if err != nil {
					break
				}
			}
			_, _ = c.Write(binary.BigEndian.AppendUint64(nil, total)) // who asked may be gone
		}()
	}
}

func send(address, seconds string) error {
	length, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		return err
	}
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	buffer, started := make([]byte, chunk), time.Now()
	for end := started.Add(time.Duration(length * float64(time.Second))); time.Now().Before(end); {
		if _, err := c.Write(buffer); err != nil {
			return err
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err != nil || len(answer) != 8 {
		return fmt.Errorf("no answer: %w", err)
	}
	fmt.Printf("%.0f\n", float64(binary.BigEndian.Uint64(answer))/1e6/time.Since(started).Seconds())
	return nil
}
