package logs

import (
	"bytes"
	"context"
	"time"
)

// tail finds where to begin so that the last lines come and little else: the place, and how many lines from there
// are too many. It reads backwards from the end, so its cost depends on the lines wanted and not on the log.
func (r *reading) tail(ctx context.Context, from, end place) (place, int, error) {
	stop, err := r.until(from, end)
	if err != nil || r.o.Tail == 0 {
		return stop, 0, err
	}
	begin, err := r.backwards(from, stop)
	if err != nil {
		return from, 0, err
	}
	n := 0
	err = r.pass(ctx, pass{from: begin, end: end, emit: func(Line) error { n++; return nil }})
	return begin, max(n-r.o.Tail, 0), err
}

// until is the place of the first chunk after Until, else end.
func (r *reading) until(from, end place) (place, error) {
	if r.o.Until.IsZero() {
		return end, nil
	}
	w := &walk{dir: r.dir, end: end}
	if err := w.start(from); err != nil {
		return end, err
	}
	defer func() { w.close() }()
	for {
		sp, err := w.next()
		if err != nil {
			return end, nil //nolint:nilerr // the end, or the generation is gone: then all there is is before Until
		}
		if time.Unix(0, sp.at).After(r.o.Until) {
			return place{w.seg.gen, sp.off}, nil
		}
	}
}

// backwards goes back from stop until enough newlines passed, or enough bytes for the pieces of long lines.
func (r *reading) backwards(from, stop place) (place, error) {
	want := min(r.o.Tail, 1<<30) + 2*streams
	budget := int64(want) * lineMax
	gens, err := generations(r.dir)
	if err != nil {
		return from, err
	}
	buf := make([]byte, lineMax)
	at := stop
	for i := len(gens) - 1; i >= 0; i-- {
		if gens[i] > stop.gen || gens[i] < from.gen {
			continue
		}
		seg, err := openSegment(r.dir, gens[i])
		if err != nil {
			return at, nil //nolint:nilerr // rotated away just now: older ones are gone too
		}
		at = place{gen: gens[i], off: stop.off}
		if gens[i] != stop.gen {
			st, err := seg.data.Stat()
			if err != nil {
				seg.close()
				return from, err
			}
			at.off = st.Size()
		}
		low := int64(0)
		if gens[i] == from.gen {
			low = from.off
		}
		for at.off > low && want > 0 && budget > 0 {
			n := min(int64(len(buf)), at.off-low)
			if _, err := seg.data.ReadAt(buf[:n], at.off-n); err != nil {
				seg.close()
				return from, err
			}
			at.off -= n
			budget -= n
			want -= bytes.Count(buf[:n], []byte{'\n'})
		}
		seg.close()
		if want <= 0 || budget <= 0 {
			return at, nil
		}
	}
	return at, nil
}
