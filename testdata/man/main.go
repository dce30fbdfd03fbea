// Command man writes the manual pages of pcompose, one a command, from its help.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra/doc"

	"github.com/pcompose/pcompose/cmd/pcompose/cli"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: man DIR VERSION")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write makes dir anew with a page for each command that help shows.
func write(dir, version string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cannot write manual pages: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "man1"), 0o755); err != nil {
		return fmt.Errorf("cannot write manual pages: %w", err)
	}
	// The date is that of SOURCE_DATE_EPOCH, so that the same source gives the same pages.
	header := &doc.GenManHeader{Section: "1", Source: "pcompose " + version, Manual: "pcompose"}
	if err := doc.GenManTree(cli.CommandLine(), header, filepath.Join(dir, "man1")); err != nil {
		return fmt.Errorf("cannot write manual pages: %w", err)
	}
	return nil
}
