package engine

import (
	"bytes"
	"testing"
)

func TestDetachKeys(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "ctrl-p,ctrl-q": "\x10\x11", "a": "a", "ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_": "\x00\x1b\x1c\x1d\x1e\x1f",
	} {
		if got, err := DetachKeys(text); err != nil || string(got) != want {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"ctrl-", "ctrl-1", "ctrl-P", "ab", "a,,b", "é"} {
		if got, err := DetachKeys(text); err == nil {
			t.Errorf("%q is %q", text, got)
		}
	}
}

// TestDetach: keys leave in whatever pieces they are typed, and what only began like them reaches the container.
func TestDetach(t *testing.T) {
	for _, test := range []struct {
		keys, typed, on string
		leave           bool
	}{
		{"\x10\x11", "ls\n", "ls\n", false},
		{"\x10\x11", "ls\n\x10\x11rest", "ls\n", true},
		{"\x10\x11", "\x10\x10\x11", "\x10", true},
		{"\x10\x11", "\x10x\x11", "\x10x\x11", false},
		{"\x10\x11", "x\x10", "x", false}, // held back
		{"aab", "aaab", "a", true},
		{"aab", "aac", "aac", false},
		{"", "\x10\x11", "\x10\x11", false},
	} {
		for size := 1; size <= len(test.typed); size++ {
			d, on, left := &detachKeys{keys: []byte(test.keys)}, []byte(nil), false
			for rest := []byte(test.typed); len(rest) > 0 && !left; {
				piece := rest[:min(size, len(rest))]
				rest = rest[len(piece):]
				var pass []byte
				pass, left = d.pass(bytes.Clone(piece))
				on = append(on, pass...)
			}
			if string(on) != test.on || left != test.leave {
				t.Errorf("%q typed by %d: %q, %v; want %q, %v", test.typed, size, on, left, test.on, test.leave)
			}
		}
	}
}
