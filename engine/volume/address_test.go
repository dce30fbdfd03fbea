package volume

import (
	"strings"
	"testing"
)

func TestWithAddress(t *testing.T) {
	for _, test := range []struct{ typ, device, options, want string }{
		{"tmpfs", "tmpfs", "size=1m", "size=1m"},
		{"nfs", ":/export", "addr=127.0.0.1,rw,vers=4", "addr=127.0.0.1,rw,vers=4"},
		{"nfs", "127.0.0.1:/export", "", "addr=127.0.0.1"},
		{"nfs4", "[::1]:/export", "ro", "ro,addr=::1"},
		{"cifs", "//127.0.0.1/share", "username=u", "username=u,addr=127.0.0.1"},
		{"nfs", ":/export", "rw", "error: needs addr="},
	} {
		got, err := withAddress(test.typ, test.device, test.options)
		if want, failing := strings.CutPrefix(test.want, "error: "); failing {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: got %q, %v", test, got, err)
			}
		} else if err != nil || got != test.want {
			t.Errorf("%v: got %q, %v", test, got, err)
		}
	}
}
