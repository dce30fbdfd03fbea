package logs

import (
	"io"
	"os"
)

// span is a run of bytes of one stream and one time, at [off, end) of a raw file.
type span struct {
	off, end int64
	at       int64
	stream   Stream
}

// segment reads one generation, whole or still growing, from a position on.
type segment struct {
	gen         uint64
	data, index *os.File
	head        header
	size        int64  // of data, as last seen
	pos         int64  // end of the last span
	now         record // speaks for pos
	slot        int64  // of the first record not in recs or before it
	recs        []record
	room        []record // recs is part of it
}

// openSegment opens a generation at its beginning. A lost index costs times and streams, not text.
func openSegment(dir string, gen uint64) (*segment, error) {
	data, err := os.Open(dataPath(dir, gen))
	if err != nil {
		return nil, err
	}
	s := &segment{gen: gen, data: data, slot: 1}
	if s.index, err = os.Open(indexPath(dir, gen)); err == nil {
		b := make([]byte, recordSize)
		if _, err := s.index.ReadAt(b, 0); err == nil {
			s.head = decodeHeader(b)
		}
	}
	if st, err := data.Stat(); err == nil && s.head.at == 0 {
		s.head.at = st.ModTime().UnixNano()
	}
	s.now = record{offset: -1, at: s.head.at, stream: Stdout}
	return s, nil
}

func (s *segment) close() {
	s.data.Close()
	if s.index != nil {
		s.index.Close()
	}
}

// next is the next span, false when there is none yet. The size is looked at before the index: every record for the
// bytes below it is then in its final state, while a record at the size may still be replaced.
func (s *segment) next() (span, bool, error) {
	if s.pos >= s.size {
		st, err := s.data.Stat()
		if err != nil {
			return span{}, false, err
		}
		if s.size = st.Size(); s.pos >= s.size {
			return span{}, false, nil
		}
	}
	end := s.size
	for {
		r, ok := s.peek()
		if ok && r.offset > s.pos {
			end = min(r.offset, s.size)
		}
		if !ok || r.offset > s.pos {
			break
		}
		s.now, s.recs = r, s.recs[1:]
	}
	sp := span{off: s.pos, end: end, at: s.now.at, stream: s.now.stream}
	s.pos = end
	return sp, true, nil
}

func (s *segment) peek() (record, bool) {
	if len(s.recs) == 0 {
		s.fill()
	}
	if len(s.recs) == 0 {
		return record{}, false
	}
	return s.recs[0], true
}

// fill reads records. What is not a record, or does not ascend, is skipped where a good one follows; at the end it
// may be one that is being written, and is looked at again next time.
func (s *segment) fill() {
	if s.index == nil {
		return
	}
	var block [512 * recordSize]byte
	s.recs = s.room[:0]
	defer func() { s.room = s.recs[:0] }()
	for {
		n, err := s.index.ReadAt(block[:], s.slot*recordSize)
		if err != nil && err != io.EOF {
			return
		}
		n -= n % recordSize
		last, first := s.now.offset, s.slot
		for i := 0; i < n; i += recordSize {
			r, ok := decodeRecord(block[i : i+recordSize])
			if ok && r.offset >= s.size {
				return
			}
			if !ok || r.offset <= last {
				continue
			}
			s.recs, last = append(s.recs, r), r.offset
			s.slot = first + int64(i/recordSize) + 1
		}
		if len(s.recs) > 0 || n < len(block) {
			return
		}
		s.slot += int64(n / recordSize) // a whole block of garbage
	}
}

// seek goes to a position at or before the size: the last record at or before it speaks for it.
func (s *segment) seek(pos int64) error {
	st, err := s.data.Stat()
	if err != nil {
		return err
	}
	s.size, s.pos = st.Size(), pos
	if s.index != nil {
		if st, err = s.index.Stat(); err != nil {
			return err
		}
		// Binary search by slot. Garbage counts as too far: then the search ends early and next skips forward.
		lo, hi := int64(1), st.Size()/recordSize
		for lo < hi {
			mid := (lo + hi) / 2
			if r, ok := s.recordAt(mid); ok && r.offset <= pos {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		s.slot = max(lo-1, 1)
	}
	return nil
}

func (s *segment) recordAt(slot int64) (record, bool) {
	var b [recordSize]byte
	if _, err := s.index.ReadAt(b[:], slot*recordSize); err != nil {
		return record{}, false
	}
	return decodeRecord(b[:])
}
