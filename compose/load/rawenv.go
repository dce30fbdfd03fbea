package load

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

// RegisterFormats tells compose-go the formats of env_file that docker compose has beside its own. It is for a program to call
// before its first Load: compose-go keeps formats in one place for all.
func RegisterFormats() { dotenv.RegisterFormat("raw", rawVariables) }

// rawVariables reads NAME=VALUE, one a line, as `docker run --env-file` does: neither quotes nor variables mean anything. A name
// alone takes the value of the environment, where it has one.
func rawVariables(r io.Reader, filename string, vars map[string]string, lookup func(string) (string, bool)) error {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimLeft(strings.TrimPrefix(lines.Text(), "\ufeff"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, given := strings.Cut(line, "=")
		if name == "" || strings.ContainsAny(name, " \t") {
			return fmt.Errorf("failed to read %s: line %d: %q is no name of a variable", filename, n, name)
		}
		if !given {
			if value, given = lookup(name); !given {
				continue
			}
		}
		vars[name] = value
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("failed to read %s: %w", filename, err)
	}
	return nil
}
