package scope

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestPath(t *testing.T) {
	path := Path("/user.slice/user-7.slice/user@7.service", "pcompose-shop-1f")
	if want := "/user.slice/user-7.slice/user@7.service/user.slice/pcompose-shop-1f.scope"; path != want || !Is(path) {
		t.Errorf("%s, want %s, a scope", path, want)
	}
	if Is("/user.slice/pcompose-shop-1f") {
		t.Error("what systemd knows nothing of is a scope")
	}
}

// All places are named where nobody listens; the socket of a bus that hangs up is no reason to wait.
func TestConnect(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"XDG_RUNTIME_DIR": dir, "DBUS_SESSION_BUS_ADDRESS": "unix:path=" + dir + "/elsewhere"}
	_, err := Connect(7, func(name string) string { return env[name] })
	for _, place := range []string{"/elsewhere", "/bus", "/systemd/private"} {
		if err == nil || !strings.Contains(err.Error(), dir+place) {
			t.Errorf("%v does not name %s", err, place)
		}
	}
	l, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	if _, err = Connect(7, func(name string) string { return env[name] }); err == nil || errors.Is(err, errSilent) {
		t.Errorf("a bus that hangs up: %v", err)
	}
}
