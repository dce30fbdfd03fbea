package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// RawOptions say from where to where a log is read as it was written.
type RawOptions struct {
	// FromEnd leaves out what was written before the call.
	FromEnd bool
	// Gone, when closed, says that nothing more will be written: Raw reads to the end and returns nil.
	Gone <-chan struct{}
	// Begun, where not nil, is called once when it is settled what was written before: all that comes later is given.
	Begun func()
}

// Raw calls emit with the bytes of the log in dir as the container wrote them, of both streams in the order in which
// they were stored, and follows it until Gone is closed, the log is removed, or ctx ends. A line that has not ended is
// given like any other bytes: who attaches to a container wants to see its prompt. It takes no lock and holds up no
// writer: what was rotated away before it was read is left out. Errors are those of Read.
func Raw(ctx context.Context, dir string, o RawOptions, emit func(Stream, []byte) error) error {
	r := &reading{dir: dir, o: ReadOptions{Follow: true, Gone: o.Gone}}
	err := r.raw(ctx, o, emit)
	var theirs errEmit
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &theirs):
		return theirs.error
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return err
	}
	return fmt.Errorf("cannot read log %q: %w", dir, err)
}

func (r *reading) raw(ctx context.Context, o RawOptions, emit func(Stream, []byte) error) (err error) {
	if r.watch, err = newWatch(ctx, r.dir, r.o); err != nil {
		return err
	}
	defer r.watch.close()
	before, err := generations(r.dir)
	if err != nil {
		return err
	}
	end, first, err := place{}, uint64(0), error(nil)
	if len(before) > 0 {
		if end, first, err = r.bounds(ctx); err != nil {
			return err
		}
	}
	if o.Begun != nil {
		o.Begun()
	}
	from := place{gen: first}
	switch {
	case len(before) == 0: // what comes now is all new
		if _, from.gen, err = r.bounds(ctx); err != nil {
			return err
		}
	case o.FromEnd:
		from = end
	}
	w := &walk{dir: r.dir}
	if err := w.start(from); err != nil {
		return err
	}
	defer func() { w.close() }()
	for over := false; ; {
		if err := give(ctx, w, emit); !errors.Is(err, io.EOF) || over {
			return err
		}
		if err := r.watch.wait(ctx); errors.Is(err, io.EOF) {
			over = true // what came before the news is still to be read
		} else if err != nil {
			return err
		}
	}
}

// give gives everything there is; io.EOF when it has.
func give(ctx context.Context, w *walk, emit func(Stream, []byte) error) error {
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		sp, err := w.next()
		if err != nil {
			return err
		}
		for sp.off < sp.end {
			b, err := w.bytes(sp)
			if err != nil {
				return err
			}
			if len(b) == 0 {
				break
			}
			if err := emit(sp.stream, b); err != nil {
				return errEmit{err}
			}
			sp.off += int64(len(b))
		}
	}
}
