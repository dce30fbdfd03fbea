package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pcompose/pcompose/pod"
)

const (
	// patience is how long a program may take to end once it was asked to, and how long its output is read on after its
	// end: what it leaves running may hold that open.
	patience = 10 * time.Second
	// kept is how much of the end of its standard error is kept.
	kept = 4096
)

// Call is a command that a program is given.
type Call struct {
	Program
	Metadata Metadata
	Project  string
	// Command is up, down or stop.
	Command  string
	Provider pod.Provider
	// Say is told the program's messages about its progress.
	Say func(string)
}

// message is one of the program's, as JSON on its standard output.
type message struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// Result is what a program gives to the services that depend on its own.
type Result struct {
	// Variables get the service's name in front, Raw do not.
	Variables, Raw map[string]string
}

// Run runs the command to its end. It fails where the program says so, by a message or by its exit code; the error has all
// of its messages, or else what it wrote to standard error. Where ctx ends, the program is asked to end too.
func (c Call) Run(ctx context.Context) (Result, error) {
	cmd := c.command(ctx, c.Metadata.arguments(c.Project, c.Command, c.Provider)...)
	var stderr tail
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return Result{}, c.failed(err)
	}
	read, write := io.Pipe()
	cmd.Stdout = write
	if err := cmd.Start(); err != nil {
		return Result{}, c.failed(err)
	}
	h := &hearing{call: c, answers: in, result: Result{Variables: map[string]string{}, Raw: map[string]string{}}}
	heard := make(chan error, 1)
	go func() {
		err := h.hear(read)
		if err != nil {
			_ = terminate(cmd.Process) // it speaks another language; that it has ended meanwhile is as well
		}
		_, _ = io.Copy(io.Discard, read)
		heard <- err
	}()
	err = cmd.Wait()
	write.Close()
	strange := <-heard
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // something it left running has its output
	}
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case strange != nil:
		return Result{}, c.failed(strange)
	case err != nil && len(h.errors) == 0:
		return Result{}, c.failed(fmt.Errorf("%s%s", ended(cmd.ProcessState), stderr.after()))
	case err != nil:
		return Result{}, c.failed(fmt.Errorf("%s: %s", ended(cmd.ProcessState), strings.Join(h.errors, "\n")))
	case len(h.errors) > 0:
		return Result{}, c.failed(errors.New(strings.Join(h.errors, "\n")))
	}
	return h.result, nil
}

// failed is the failure of the call.
func (c Call) failed(err error) error {
	doing := map[string]string{"up": "bring up", "down": "take down", "stop": "stop"}[c.Command]
	return fmt.Errorf("cannot %s service %q: provider %q: %w", doing, c.Provider.Service, c.Provider.Type, err)
}

// ended says how a process did.
func ended(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return "killed by signal " + fmt.Sprint(int(status.Signal())) + " (" + status.Signal().String() + ")"
	}
	return fmt.Sprintf("exited with %d", state.ExitCode())
}

// terminate asks a process to end.
func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// hearing is what was heard of a program.
type hearing struct {
	call    Call
	answers io.Writer
	// answering is held while the program is written to.
	answering sync.Mutex
	errors    []string
	result    Result
}

// hear takes messages until the program has no more. The error is a message that is none.
func (h *hearing) hear(from io.Reader) error {
	for decoder := json.NewDecoder(from); ; {
		var m message
		err := decoder.Decode(&m)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("what it writes is no JSON message: %w", err)
		}
		if err := h.take(m); err != nil {
			return err
		}
	}
}

// take acts on a message.
func (h *hearing) take(m message) error {
	switch m.Type {
	case "info":
		h.call.Say(strings.TrimRight(m.Message, "\n"))
	case "error":
		h.errors = append(h.errors, strings.TrimRight(m.Message, "\n"))
	case "setenv", "rawsetenv":
		key, value, ok := strings.Cut(m.Message, "=")
		if !ok || key == "" {
			return fmt.Errorf("its message %s is no NAME=VALUE: %q", m.Type, m.Message)
		}
		if m.Type == "setenv" {
			h.result.Variables[key] = value
		} else {
			h.result.Raw[key] = value
		}
	case "get-service-config":
		// Beside what is read: a program may write on before it reads, and an answer may be larger than a pipe holds.
		go func() {
			h.answering.Lock()
			defer h.answering.Unlock()
			// One that has ended needs no answer; its exit code says what that means.
			_, _ = io.WriteString(h.answers, h.call.Provider.Config+"\n")
		}()
	case "debug":
	default:
		return fmt.Errorf("its message has an unknown type: %q", m.Type)
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

// Write keeps the end; it never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-kept):]
	return len(b), nil
}

// after is the text behind what it explains.
func (t *tail) after() string {
	if text := bytes.TrimSpace(t.text); len(text) > 0 {
		return ": " + string(text)
	}
	return ""
}
