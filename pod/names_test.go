package pod_test

import (
	"slices"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

func TestCapability(t *testing.T) {
	for name, want := range map[string]string{
		"NET_ADMIN": "CAP_NET_ADMIN", "cap_chown": "CAP_CHOWN", "Sys_Admin": "CAP_SYS_ADMIN", "all": "ALL", "CAP_ALL": "ALL",
		"": "", "NET_ADMN": "", "CAP_CAP_CHOWN": "", "CAP_": "",
	} {
		got, ok := pod.Capability(name)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q is %q, %v, want %q", name, got, ok, want)
		}
	}
}

func TestSysctl(t *testing.T) {
	for name, want := range map[string]string{
		"kernel.msgmax": "kernel.msgmax", "kernel/sem": "kernel.sem", "kernel.domainname": "kernel.domainname",
		"fs.mqueue.msg_max": "fs.mqueue.msg_max", "net.core.somaxconn": "net.core.somaxconn",
		"net/ipv4/ip_forward": "net.ipv4.ip_forward",
		"":                    "", "kernel.hostname": "", "kernel.panic": "", "vm.swappiness": "", "fs.file-max": "", "network.x": "",
		"net.../../kernel/panic": "", "net. x": "",
	} {
		got, err := pod.Sysctl(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestNamesSorted(t *testing.T) {
	for _, list := range [][]string{pod.Capabilities(), pod.UlimitNames(), pod.KernelSysctls()} {
		if !slices.IsSorted(list) {
			t.Errorf("not sorted: %q", list)
		}
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "9": true, "shop-web-1": true, "My_db.example": true,
		"": false, "-a": false, ".": false, "_x": false, "foo bar": false, "a/b": false, "../x": false, "dé": false,
	} {
		if got := pod.ValidName(name); got != want {
			t.Errorf("%q is %v, want %v", name, got, want)
		}
	}
}
