package logs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/pcompose/pcompose/pod/logs"
)

// TestRaw: bytes come as they were written, an unfinished line too, over generations, from the start or from now on.
func TestRaw(t *testing.T) {
	dir := t.TempDir()
	l, err := logs.Open(logs.Config{Dir: dir, MaxSize: 8, MaxFiles: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, w, err := logs.NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	write := func(text string) {
		t.Helper()
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := l.Drain(logs.Stdout, r); err != nil {
			t.Fatal(err)
		}
	}
	write("first line\nand more\n")
	read := func(o logs.RawOptions) (end func() string) {
		gone, begun, ended, text := make(chan struct{}), make(chan struct{}), make(chan error, 1), ""
		o.Gone, o.Begun = gone, func() { close(begun) }
		go func() {
			ended <- logs.Raw(t.Context(), dir, o, func(_ logs.Stream, b []byte) error { text += string(b); return nil })
		}()
		<-begun
		return func() string {
			close(gone)
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
	all := read(logs.RawOptions{})
	later := read(logs.RawOptions{FromEnd: true})
	write("a prompt> ")
	write("answer")
	if got := all(); got != "first line\nand more\na prompt> answer" {
		t.Errorf("from the start: %q", got)
	}
	if got := later(); got != "a prompt> answer" {
		t.Errorf("from now on: %q", got)
	}
	enough := errors.New("enough")
	if err := logs.Raw(t.Context(), dir, logs.RawOptions{}, func(logs.Stream, []byte) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("emit's error came as %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := logs.Raw(ctx, dir, logs.RawOptions{}, func(logs.Stream, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
