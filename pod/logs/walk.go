package logs

import (
	"errors"
	"io"
	"os"
)

// windowSize is how much of a raw file is read at once.
const windowSize = 256 << 10

// place is a position in a log.
type place struct {
	gen uint64
	off int64
}

// walk goes through the generations of a log.
type walk struct {
	dir    string
	end    place // where to stop; gen 0: nowhere
	seg    *segment
	window []byte
	buf    []byte // window[:n], read from off
	off    int64
	gap    bool // generations were removed before they were read
}

// start opens a generation at a position, or the next one that is still there.
func (w *walk) start(p place) error {
	seg, err := openSegment(w.dir, p.gen)
	if errors.Is(err, os.ErrNotExist) {
		w.gap = true
		if p.gen, err = w.after(p.gen); err == nil {
			return w.start(place{gen: p.gen})
		}
	}
	if err != nil {
		return err
	}
	w.close()
	w.seg, w.buf = seg, nil
	if p.off > 0 {
		return seg.seek(p.off)
	}
	return nil
}

func (w *walk) close() {
	if w.seg != nil {
		w.seg.close()
	}
}

// after is the oldest generation kept after gen; io.EOF when there is none.
func (w *walk) after(gen uint64) (uint64, error) {
	gens, err := generations(w.dir)
	for _, g := range gens {
		if g > gen {
			return g, nil
		}
	}
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = io.EOF
	}
	return 0, err
}

// next is the next span; io.EOF when there is none now.
func (w *walk) next() (span, error) {
	for {
		sp, ok, err := w.seg.next()
		if err != nil || ok {
			return w.bound(sp, err)
		}
		if w.end.gen != 0 && w.seg.gen >= w.end.gen {
			return span{}, io.EOF
		}
		gen, err := w.after(w.seg.gen)
		if err != nil {
			return span{}, err
		}
		// Its successor is there, so this generation is final; but it may have grown since we looked.
		if sp, ok, err := w.seg.next(); err != nil || ok {
			return w.bound(sp, err)
		}
		w.gap = gen != w.seg.gen+1
		if err := w.start(place{gen: gen}); err != nil {
			return span{}, err
		}
	}
}

// bound cuts a span at the end of the walk.
func (w *walk) bound(sp span, err error) (span, error) {
	if err != nil || w.end.gen == 0 || w.seg.gen < w.end.gen {
		return sp, err
	}
	if w.seg.gen > w.end.gen || sp.off >= w.end.off {
		return span{}, io.EOF
	}
	sp.end = min(sp.end, w.end.off)
	return sp, nil
}

// bytes reads the beginning of a span, a window's worth at most. It is empty only for a raw file that was cut.
func (w *walk) bytes(sp span) ([]byte, error) {
	if sp.off < w.off || sp.off >= w.off+int64(len(w.buf)) {
		if w.window == nil {
			w.window = make([]byte, windowSize)
		}
		// Not past the size that the index was read for: later spans know better what follows.
		n, err := w.seg.data.ReadAt(w.window, sp.off)
		if err != nil && err != io.EOF {
			return nil, err
		}
		w.off, w.buf = sp.off, w.window[:n]
	}
	b := w.buf[sp.off-w.off:]
	return b[:min(int64(len(b)), sp.end-sp.off)], nil
}
