package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ReadOptions says which lines are wanted.
type ReadOptions struct {
	// Follow waits for more until ctx ends, Gone is closed, or the log is removed.
	Follow bool
	// Gone, when closed, says that nothing more will be written: a follower reads to the end and returns nil.
	Gone <-chan struct{}
	// Tail is how many of the last lines come; negative: all. Pieces of long lines count as lines.
	// With Follow, a line that has begun and not ended comes whole when it ends.
	Tail int
	// Since and Until bound the lines' times, both inclusive; zero is no bound. Where the machine's clock was set
	// back, the bound is at the first time it is crossed.
	Since, Until time.Time
}

// errStop ends a walk early; it never leaves the package.
var errStop = errors.New("stop")

// Read calls emit for the lines of the log in dir, the streams merged in the order in which lines were ended. It
// takes no lock, never holds up the writer, and reads what is there at the call, or goes on with Follow. A line whose
// beginning was rotated away is left out. Memory is bounded whatever the container wrote. Read returns emit's error
// as it is, ctx's when it ended, and one that is fs.ErrNotExist when there is no log.
func Read(ctx context.Context, dir string, o ReadOptions, emit func(Line) error) error {
	if o.Follow && !o.Until.IsZero() && !time.Now().Before(o.Until) {
		o.Follow = false // nothing can come after it
	}
	r := &reading{dir: dir, o: o, emit: func(l Line) error {
		if err := emit(l); err != nil {
			return errEmit{err}
		}
		return nil
	}}
	var err error
	if o.Follow {
		if r.watch, err = newWatch(ctx, dir, o); err != nil {
			return fmt.Errorf("cannot follow log %q: %w", dir, err)
		}
		defer r.watch.close()
	}
	err = r.run(ctx)
	var theirs errEmit
	switch {
	case err == nil, errors.Is(err, errStop), errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &theirs):
		return theirs.error
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return err
	default:
		return fmt.Errorf("cannot read log %q: %w", dir, err)
	}
}

// errEmit tells the callback's errors from ours, io.EOF above all.
type errEmit struct{ error }

// reading is one call of Read.
type reading struct {
	dir   string
	o     ReadOptions
	emit  func(Line) error
	watch *watch
}

func (r *reading) run(ctx context.Context) error {
	end, first, err := r.bounds(ctx)
	if err != nil || r.o.Tail == 0 && !r.o.Follow {
		return err
	}
	from, err := r.since(first, end)
	if err != nil {
		return err
	}
	skipLines := 0
	if r.o.Tail >= 0 {
		if from, skipLines, err = r.tail(ctx, from, end); err != nil {
			return err
		}
	}
	emit := func(l Line) error {
		if skipLines > 0 {
			skipLines--
			return nil
		}
		return r.emit(l)
	}
	if r.o.Follow {
		end = place{}
	}
	return r.pass(ctx, pass{from: from, end: end, follow: r.o.Follow, emit: emit})
}

// bounds are the end of the log as it is now, and its first generation. A follower waits for the first.
func (r *reading) bounds(ctx context.Context) (end place, first uint64, err error) {
	for {
		gens, err := generations(r.dir)
		if err != nil {
			return end, 0, err
		}
		if len(gens) == 0 {
			if r.watch == nil {
				return end, 0, io.EOF
			}
			if err := r.watch.wait(ctx); err != nil {
				return end, 0, err
			}
			continue
		}
		end.gen = gens[len(gens)-1]
		seg, err := openSegment(r.dir, end.gen)
		if err != nil {
			return end, 0, err
		}
		defer seg.close()
		end.off, err = seg.data.Seek(0, io.SeekEnd)
		return end, gens[0], err
	}
}

// since is where the first line that may be wanted begins.
func (r *reading) since(first uint64, end place) (place, error) {
	at := place{gen: first}
	if r.o.Since.IsZero() {
		return at, nil
	}
	w := &walk{dir: r.dir, end: end}
	if err := w.start(at); err != nil {
		return at, err
	}
	defer func() { w.close() }()
	for {
		sp, err := w.next()
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return at, err
		}
		if sp.at >= r.o.Since.UnixNano() {
			return place{w.seg.gen, sp.off}, nil
		}
	}
}

// pass is one way through a part of the log.
type pass struct {
	from, end place
	follow    bool
	emit      func(Line) error
}

func (r *reading) pass(ctx context.Context, p pass) error {
	w := &walk{dir: r.dir, end: p.end}
	if err := w.start(p.from); err != nil {
		return err
	}
	defer func() { w.close() }()
	a := &assembler{emit: func(l Line) error {
		if !r.o.Since.IsZero() && l.At.Before(r.o.Since) || !r.o.Until.IsZero() && l.At.After(r.o.Until) {
			return nil
		}
		return p.emit(l)
	}}
	a.resume(r.dir, w.seg, w.seg.pos)
	w.gap = false
	for {
		err := r.feed(ctx, w, a)
		if errors.Is(err, io.EOF) && p.follow {
			err = r.watch.wait(ctx)
			if err == nil {
				continue
			}
			if errors.Is(err, io.EOF) { // over: what came before the news is still to be read
				err = r.feed(ctx, w, a)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, errStop) {
			return a.end()
		}
		return err
	}
}

// feed gives everything there is to a; io.EOF when it has, errStop when nothing more is wanted.
func (r *reading) feed(ctx context.Context, w *walk, a *assembler) error {
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		sp, err := w.next()
		if err != nil {
			return err
		}
		if w.gap {
			w.gap = false
			if err := a.end(); err != nil {
				return err
			}
			a.resume(r.dir, w.seg, 0)
		}
		if until := r.o.Until; !until.IsZero() && sp.at > until.UnixNano() && !a.beganBy(until.UnixNano()) {
			return errStop
		}
		for sp.off < sp.end {
			b, err := w.bytes(sp)
			if err != nil {
				return err
			}
			if len(b) == 0 {
				break
			}
			if err := a.feed(sp.stream, sp.at, b); err != nil {
				return err
			}
			sp.off += int64(len(b))
		}
	}
}
