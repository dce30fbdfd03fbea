package engine

import (
	"bytes"
	"fmt"
	"strings"
)

// DefaultDetachKeys leave a container's terminal, as with docker.
const DefaultDetachKeys = "ctrl-p,ctrl-q"

// DetachKeys reads keys separated by commas, each a character or ctrl- with a letter or one of @ [ \\ ] ^ _, as the bytes
// that a terminal sends for them.
func DetachKeys(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	var keys []byte
	for _, key := range strings.Split(text, ",") {
		name, ctrl := strings.CutPrefix(key, "ctrl-")
		switch {
		case len(name) != 1 || name[0] >= 0x80:
			return nil, fmt.Errorf("%q is no key: say a character, or ctrl- and one, as in %s", key, DefaultDetachKeys)
		case !ctrl:
			keys = append(keys, name[0])
		case strings.ContainsAny(name, "@[\\]^_") || name[0] >= 'a' && name[0] <= 'z':
			keys = append(keys, name[0]&0x1f) // as a terminal does (ascii(7))
		default:
			return nil, fmt.Errorf("%q is no key that a terminal can send", key)
		}
	}
	return keys, nil
}

// detachKeys finds the keys in what is typed. The beginning of them is held back until it is clear what follows.
type detachKeys struct {
	keys []byte
	held int
}

// pass is what goes on to the container, and whether the keys were complete.
func (d *detachKeys) pass(typed []byte) (on []byte, leave bool) {
	if len(d.keys) == 0 {
		return typed, false
	}
	for _, b := range typed {
		seen := append(bytes.Clone(d.keys[:d.held]), b)
		// The longest end of what was seen that is a beginning of the keys may still become them.
		keep := min(len(seen), len(d.keys))
		for !bytes.Equal(seen[len(seen)-keep:], d.keys[:keep]) {
			keep--
		}
		on = append(on, seen[:len(seen)-keep]...)
		if d.held = keep; keep == len(d.keys) {
			return on, true
		}
	}
	return on, false
}
