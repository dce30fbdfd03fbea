package logs

import (
	"bytes"
	"time"
)

// assembler makes lines of chunks, a stream at a time.
type assembler struct {
	pend [streams][]byte // the beginning of a line whose end has not come
	at   [streams]int64  // when that began
	skip [streams]bool   // drop up to the next newline: its beginning is not ours
	emit func(Line) error
}

// feed takes the next bytes of a stream. Whole lines go to emit without a copy.
func (a *assembler) feed(s Stream, at int64, b []byte) error {
	for len(b) > 0 {
		part, ended := b, false
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			part, b, ended = b[:i], b[i+1:], true
		} else {
			b = nil
		}
		if a.skip[s] {
			a.skip[s] = !ended
			continue
		}
		if err := a.add(s, at, part, ended); err != nil {
			return err
		}
	}
	return nil
}

func (a *assembler) add(s Stream, at int64, part []byte, ended bool) error {
	if len(a.pend[s]) == 0 {
		a.at[s] = at
		for len(part) > lineMax {
			if err := a.line(s, part[:lineMax], true); err != nil {
				return err
			}
			part = part[lineMax:]
		}
		if ended {
			return a.line(s, part, false)
		}
	}
	for len(a.pend[s])+len(part) > lineMax {
		n := lineMax - len(a.pend[s])
		a.pend[s] = append(a.pend[s], part[:n]...)
		part = part[n:]
		if err := a.flush(s, true); err != nil {
			return err
		}
		a.at[s] = at
	}
	a.pend[s] = append(a.pend[s], part...)
	if ended {
		return a.flush(s, false)
	}
	return nil
}

// flush emits what is pending of a stream.
func (a *assembler) flush(s Stream, partial bool) error {
	text := a.pend[s]
	a.pend[s] = text[:0]
	return a.line(s, text, partial)
}

// end emits the unfinished lines: nothing comes after them.
func (a *assembler) end() error {
	for s := Stdout; s < streams; s++ {
		if len(a.pend[s]) > 0 {
			if err := a.flush(s, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// beganBy says whether a line that began at t or before waits for its end.
func (a *assembler) beganBy(t int64) bool {
	for s := Stdout; s < streams; s++ {
		if len(a.pend[s]) > 0 && a.at[s] <= t {
			return true
		}
	}
	return false
}

func (a *assembler) line(s Stream, text []byte, partial bool) error {
	return a.emit(Line{At: time.Unix(0, a.at[s]), Stream: s, Text: text, Partial: partial})
}
