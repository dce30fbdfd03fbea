package ui

import (
	"bytes"
	"testing"
)

func TestStats(t *testing.T) {
	one := NewStats(Stats{Container: "abc", ID: "a", Name: "app-1"}, Used{
		CPU: 4.391, Memory: 800 << 10, Limit: 24<<30 - 470<<20, PIDs: 2, Received: 1620, Sent: 126, Read: 0, Written: 8192,
	})
	for _, test := range []struct{ format, want string }{
		{"table", "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O         BLOCK I/O     PIDS\n" +
			"a              app-1     4.39%     800KiB / 23.54GiB   0.00%     1.62kB / 126B   0B / 8.19kB   2\n"},
		{"json", `{"BlockIO":"0B / 8.19kB","CPUPerc":"4.39%","Container":"abc","ID":"a","MemPerc":"0.00%","MemUsage":"800KiB / 23.54GiB","Name":"app-1","NetIO":"1.62kB / 126B","PIDs":"2"}` + "\n"},
		{"{{.Name}} {{.CPUPerc}}", "app-1 4.39%\n"},
		{`table {{.Name}}\t{{.PIDs}}`, "NAME      PIDS\napp-1     2\n"},
	} {
		var out bytes.Buffer
		if err := ShowStats(&UI{Out: Output{Writer: &out}}, test.format, []Stats{one}); err != nil || out.String() != test.want {
			t.Errorf("%s: %v\n%q, want\n%q", test.format, err, out.String(), test.want)
		}
	}
}
