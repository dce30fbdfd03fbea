package logs

import (
	"encoding/binary"
)

// recordSize is the size of every index slot. Slot 0 is the header, the records follow.
const recordSize = 16

// headerMagic begins an index: "pcl1".
const headerMagic = 0x316c6370

// record says that the bytes from offset to the next record's offset, or to the end of the raw file, came on a
// stream at a time. A slot is 16 bytes, so it never straddles a page: 40 bits offset, 8 bits stream, 16 bits check
// sum, then nanoseconds since 1970, all little-endian.
type record struct {
	offset int64
	at     int64
	stream Stream
}

// header begins a generation: when it began, and which streams were in the middle of a line then (bit 1<<stream),
// so that a reader who finds the earlier generation gone does not take the rest of a line for a line.
type header struct {
	at      int64
	midline uint8
}

// check is a 16-bit mix (the constant is splitmix64's): enough to tell a record from what a crash left.
func check(word, at uint64) uint64 {
	h := (word ^ at>>32 ^ at<<32 ^ 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	h ^= h >> 29
	return h * 0x94d049bb133111eb >> 48
}

func (r record) encode() (b [recordSize]byte) {
	word := uint64(r.offset)&(1<<offsetBits-1) | uint64(r.stream)<<offsetBits
	binary.LittleEndian.PutUint64(b[:], word|check(word, uint64(r.at))<<48)
	binary.LittleEndian.PutUint64(b[8:], uint64(r.at))
	return b
}

// decodeRecord is false for anything that encode did not make.
func decodeRecord(b []byte) (record, bool) {
	word, at := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	r := record{offset: int64(word & (1<<offsetBits - 1)), at: int64(at), stream: Stream(word >> offsetBits & 0xff)}
	return r, word>>48 == check(word&(1<<48-1), at) && r.stream >= Stdout && r.stream < streams
}

func (h header) encode() (b [recordSize]byte) {
	binary.LittleEndian.PutUint32(b[:], headerMagic)
	b[4] = h.midline
	binary.LittleEndian.PutUint64(b[8:], uint64(h.at))
	return b
}

// decodeHeader gives an empty header where there is none: the text matters more.
func decodeHeader(b []byte) header {
	if len(b) < recordSize || binary.LittleEndian.Uint32(b) != headerMagic {
		return header{}
	}
	return header{midline: b[4], at: int64(binary.LittleEndian.Uint64(b[8:]))}
}
