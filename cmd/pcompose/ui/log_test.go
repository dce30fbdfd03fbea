package ui

import (
	"strings"
	"testing"
	"time"
)

func TestLog(t *testing.T) {
	at := time.Unix(1700000000, 5)
	entries := func() []Entry {
		return []Entry{
			{Name: "web-1", At: at.Add(2), Text: "second"},
			{Name: "database-1", At: at.Add(1), Text: "first"},
			{Name: "web-1", At: at.Add(3), Text: "exited with code 0", Status: true},
		}
	}
	names := []string{"database-1", "web-1"}
	for _, tt := range []struct {
		name   string
		opt    LogOptions
		colour bool
		want   string
	}{
		{"prefixed", LogOptions{Names: names}, false, "database-1  | first\nweb-1       | second\nweb-1 exited with code 0\n"},
		{"bare", LogOptions{Names: names, NoPrefix: true, Timestamps: true}, false,
			"2023-11-14T22:13:20.000000006Z first\n2023-11-14T22:13:20.000000007Z second\nweb-1 exited with code 0\n"},
		{"coloured", LogOptions{Names: names}, true, "\x1b[36mdatabase-1  | \x1b[0mfirst\n\x1b[33mweb-1       | \x1b[0msecond\n\x1b[33mweb-1 exited with code 0\x1b[0m\n"},
		{"not coloured", LogOptions{Names: names, NoColour: true}, true, "database-1  | first\nweb-1       | second\nweb-1 exited with code 0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, out, _ := testUI(Plain)
			u.Out.Colour = tt.colour
			u.Log(tt.opt).Print(entries())
			if out.String() != tt.want {
				t.Errorf("got\n%q\nwant\n%q", out, tt.want)
			}
		})
	}
}

func TestLogKeepsStreamsApart(t *testing.T) {
	u, out, err := testUI(Plain)
	u.Log(LogOptions{}).Print([]Entry{{Name: "a", Text: "out"}, {Name: "a", Text: "err", Stderr: true}, {Name: "a", Text: "out again"}})
	if out.String() != "a  | out\na  | out again\n" || err.String() != "a  | err\n" {
		t.Errorf("got %q and %q", out, err)
	}
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "no\n": false, "": false} {
		u, _, _ := testUI(Plain)
		u.In = strings.NewReader(answer)
		if got := u.Confirm("Remove?"); got != want {
			t.Errorf("%q: got %v", answer, got)
		}
	}
}

func TestAskTakesALineEach(t *testing.T) {
	u, _, _ := testUI(Plain)
	u.In = strings.NewReader("\ny\nn\n\n")
	for i, want := range []bool{true, true, false, true, false} {
		if got := Ask(u, "Go on? [Y/n]", true); got != want {
			t.Errorf("question %d: got %v", i, got)
		}
	}
}
