package runtime

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// complaint is the last error in a runtime's JSON log, "" when there is none: an entry a line, or, as crun 1.28 has it, over
// several. Lines that are not JSON count as errors: a runtime that dies early writes what it likes.
func complaint(log []byte) string {
	message := ""
	for log = bytes.TrimSpace(log); len(log) > 0; log = bytes.TrimSpace(log) {
		var entry struct{ Level, Msg string }
		entries := json.NewDecoder(bytes.NewReader(log))
		if entries.Decode(&entry) != nil {
			var line []byte
			line, log, _ = bytes.Cut(log, []byte("\n"))
			message = string(line)
			continue
		}
		log = log[entries.InputOffset():]
		switch strings.ToLower(entry.Level) {
		case "error", "fatal", "panic":
			message = entry.Msg
		}
	}
	return message
}

// chatter are the layers that runtimes put before the cause: which function of theirs failed.
func chatter() []string {
	return []string{"runc create failed: ", "runc run failed: ", "runc exec failed: ", "exec failed: ", "error executing setns process: ",
		"unable to start container process: ", "container_linux.go:", "process_linux.go:", "standard_init_linux.go:",
		"error during container init: ", "starting container process caused: ", "OCI runtime error: ", "crun: ", "runc: ", "youki: "}
}

// clean takes the layers off a runtime's message and words what crun says of a command as runc and docker do.
func clean(message, argv0 string) string {
	message = strings.TrimSpace(message)
	for stripped := true; stripped; {
		stripped = false
		for _, prefix := range chatter() {
			rest, ok := strings.CutPrefix(message, prefix)
			if !ok {
				continue
			}
			// "container_linux.go:380: starting ..." carries a line number.
			if strings.HasSuffix(prefix, ".go:") {
				_, rest, _ = strings.Cut(rest, ": ")
			}
			message, stripped = strings.TrimSpace(rest), true
		}
	}
	if name, ok := between(message, "executable file `", "` not found"); ok {
		return missing(name)
	}
	if cause, ok := strings.CutPrefix(message, "open executable: "); ok {
		return `exec: "` + argv0 + `": ` + strings.ToLower(cause)
	}
	return regexp.MustCompile(`^(exec: "[^"]*": )stat [^:]*: `).ReplaceAllString(message, "$1")
}

func missing(name string) string {
	if strings.Contains(name, "/") {
		return `exec: "` + name + `": no such file or directory`
	}
	return `exec: "` + name + `": executable file not found in $PATH`
}

func between(s, from, to string) (string, bool) {
	_, s, ok := strings.Cut(s, from)
	if !ok {
		return "", false
	}
	s, _, ok = strings.Cut(s, to)
	return s, ok
}

// commandError recognises a cleaned message that is about the command, not about the container.
func commandError(message string) *CommandError {
	if !strings.HasPrefix(message, `exec: "`) {
		return nil
	}
	code := 126
	if strings.Contains(message, "executable file not found") || strings.HasSuffix(message, "no such file or directory") {
		code = 127
	}
	return &CommandError{Code: code, Message: message}
}
