package load

import (
	"maps"
	"strings"
	"testing"
)

func TestRawVariables(t *testing.T) {
	lookup := func(name string) (string, bool) { return "from outside", name == "GIVEN" }
	got := map[string]string{}
	text := "\ufeff# none\n\n  A=\"$B\" # all of it\nB=x=y\nC=\nGIVEN\nNOT_GIVEN\n"
	if err := rawVariables(strings.NewReader(text), "raw.env", got, lookup); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"A": `"$B" # all of it`, "B": "x=y", "C": "", "GIVEN": "from outside"}; !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range []string{"A=b\nno name=x", "=x"} {
		if err := rawVariables(strings.NewReader(bad), "raw.env", got, lookup); err == nil || !strings.Contains(err.Error(), "raw.env: line ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
