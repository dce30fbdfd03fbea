package logs

import (
	"bytes"
)

// lookBack bounds the search for where a stream last wrote, in records: 1 MiB of index.
const lookBack = 1 << 16

// begun is a line of one stream whose beginning lies before a position.
type begun struct {
	text []byte // from its beginning, or its last lineMax bytes
	at   int64
	cut  bool // it began before the generation did
	done bool // nothing before matters
}

// begun finds the lines that pos is in the middle of. A stream silent for longer than lookBack records is taken to
// be at a line's start.
func (s *segment) begun(pos int64) (b [streams]begun) {
	end := pos
	probe := &segment{data: s.data, index: s.index}
	if s.index != nil && pos > 0 && probe.seek(pos) == nil {
		stop := max(probe.slot-lookBack, 1)
		for hi := probe.slot + 1; hi > stop && !(b[Stdout].done && b[Stderr].done); {
			lo := max(hi-512, stop)
			block := make([]byte, (hi-lo)*recordSize)
			n, _ := s.index.ReadAt(block, lo*recordSize)
			for i := n/recordSize - 1; i >= 0; i-- {
				if r, ok := decodeRecord(block[i*recordSize : (i+1)*recordSize]); ok && r.offset < end {
					b[r.stream].prepend(s, r, end)
					end = r.offset
				}
			}
			hi = lo
		}
		if stop > 1 {
			return b
		}
	}
	if end > 0 { // without a record
		b[Stdout].prepend(s, record{at: s.head.at}, end)
	}
	for st := range b {
		b[st].cut = !b[st].done && s.head.midline&(1<<st) != 0
	}
	return b
}

// prepend takes the chunk that r begins and end ends, back to a newline.
func (b *begun) prepend(s *segment, r record, end int64) {
	if b.done {
		return
	}
	chunk := make([]byte, min(end-r.offset, lineMax))
	if _, err := s.data.ReadAt(chunk, end-int64(len(chunk))); err != nil {
		b.done = true
		return
	}
	i := bytes.LastIndexByte(chunk, '\n')
	if chunk = chunk[i+1:]; len(chunk) > 0 {
		b.at = r.at
		b.text = append(chunk, b.text...)
	}
	b.done = i >= 0 || len(b.text) >= lineMax
}

// resume puts an assembler into the middle of the lines that cross a place. Those whose beginning was rotated away
// are left out up to their end.
func (a *assembler) resume(dir string, seg *segment, pos int64) {
	lines := seg.begun(pos)
	for gen := seg.gen - 1; gen > 0 && (lines[Stdout].cut || lines[Stderr].cut); gen-- {
		earlier, err := openSegment(dir, gen)
		if err != nil {
			break
		}
		if st, err := earlier.data.Stat(); err == nil {
			for s, before := range earlier.begun(st.Size()) {
				if !lines[s].cut {
					continue
				}
				if lines[s].cut = before.cut; len(before.text) > 0 {
					lines[s].text, lines[s].at = append(before.text, lines[s].text...), before.at
				}
				lines[s].cut = lines[s].cut && len(lines[s].text) < lineMax
			}
		}
		earlier.close()
	}
	for s := Stdout; s < streams; s++ {
		text := lines[s].text
		a.skip[s] = lines[s].cut
		a.pend[s], a.at[s] = nil, lines[s].at
		if !lines[s].cut {
			a.pend[s] = text[max(0, len(text)-lineMax):]
		}
	}
}
