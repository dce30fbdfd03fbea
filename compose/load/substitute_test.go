package load

import (
	"testing"

	"github.com/compose-spec/compose-go/v2/template"
)

// TestSubstitute holds our interpolation to compose-go's, which it stands in for.
func TestSubstitute(t *testing.T) {
	env := map[string]string{"A": "a", "EMPTY": "", "N": "a$b", "_X1": "x"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for _, text := range []string{
		"", "plain", "$A", "${A}", "$A$A", "x${A}y", "$$A", "$${A}", "$$$A", "$", "$ ", "cost: 5$", "$5", "$-", "$A-b", "$_X1.", "${_X1}",
		"${A:-d}", "${A-d}", "${EMPTY:-d}", "${EMPTY-d}", "${U:-d}", "${U-d}", "${U:-}", "${U-}", "${U:-$A}", "${U:-${A}}", "${U:-${V:-e}}",
		"${A:+v}", "${A+v}", "${EMPTY:+v}", "${EMPTY+v}", "${U:+v}", "${U+v}", "${A:+${A}}", "${A:?m}", "${EMPTY:?m}", "${EMPTY?m}", "${U:?m}",
		"${U?m}", "${U?}", "${U:?}", "${U:?no $A}", "${A:-x}-${A}", "${U:-x}:${U:-y}", "${U:-a:b}", "${U:-a-b?c+d}", "${U:-{}}", `${U:-{"a":1}}`,
		"${}", "${ A}", "${A B}", "${A", "${A:}", "${A:=x}", "${1}", "${A.b}", "a${U}b", "$U", "$N", "${U:-$$}", "${A:-$$x}",
		"http://${A}:${U:-80}/$$?x=$A",
	} {
		want, wantErr := template.Substitute(text, lookup)
		got, err := substitute(text, lookup, func(string) {})
		if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
			t.Errorf("%q: error %v, compose-go has %v", text, err, wantErr)
		} else if err == nil && got != want {
			t.Errorf("%q: %q, compose-go has %q", text, got, want)
		}
	}
}
