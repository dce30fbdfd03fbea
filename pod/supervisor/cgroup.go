package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
)

// withoutCgroup takes the cgroup and its limits out of a container's configuration, where it has any: it was made before it
// was known that there would be none. Idempotent.
func withoutCgroup(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var all map[string]json.RawMessage
	var linux map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("cannot read %s: %w", file, err)
	}
	if err := json.Unmarshal(all["linux"], &linux); err != nil {
		return fmt.Errorf("cannot read %s: %w", file, err)
	}
	if _, ok := linux["cgroupsPath"]; !ok {
		return nil
	}
	delete(linux, "cgroupsPath")
	delete(linux, "resources")
	if all["linux"], err = json.Marshal(linux); err != nil {
		return err
	}
	if text, err = json.Marshal(all); err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
