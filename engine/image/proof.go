package image

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/opencontainers/go-digest"
)

// maxStored is the most that a stored block of deflate holds.
const maxStored = 1<<16 - 1

// proof is the tar of a layer that proves itself on the way into the store. Where it has not the diff ID that the image's configuration
// claims, it ends in an error, before containers-storage makes the layer known: its ID follows from the claim, and under that of
// another layer nobody may find this one's content, not even for the moment until it were removed, in which podman could take it
// or the process be killed.
//
// It reads as gzip, which the layer was and is recorded as in layers.json, but of stored blocks (RFC 1951, 3.2.4): to
// decompress those costs little more than to copy them.
type proof struct {
	tar   io.Reader
	claim digest.Digest
	sum   hash.Hash
	crc   uint32
	size  uint32
	block []byte
	// left is what of block is not read yet, and err what follows.
	left []byte
	err  error
}

// prove reads a tar that must have a diff ID.
func prove(tar io.Reader, claim digest.Digest) *proof {
	p := &proof{tar: tar, claim: claim, sum: digest.Canonical.Hash(), block: make([]byte, 0, maxStored+32)}
	// RFC 1952, 2.3: the magic number, deflate, no flags, no time, no hints, of an unknown system.
	p.left = append(p.block, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff)
	return p
}

func (p *proof) Read(b []byte) (int, error) {
	for len(p.left) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		p.next()
	}
	n := copy(b, p.left)
	p.left = p.left[n:]
	return n, nil
}

// next makes a block of what follows, and the trailer after the last one.
func (p *proof) next() {
	const header = 5
	content := p.block[header : header+maxStored]
	n, err := io.ReadFull(p.tar, content)
	content = content[:n]
	p.sum.Write(content)
	p.crc = crc32.Update(p.crc, crc32.IEEETable, content)
	p.size += uint32(n)
	out := append(p.block, 0)
	out = binary.LittleEndian.AppendUint16(out, uint16(n))
	out = binary.LittleEndian.AppendUint16(out, ^uint16(n))
	p.left = out[:header+n]
	switch err {
	case nil:
		return
	case io.EOF, io.ErrUnexpectedEOF:
		// A stream that was cut has another sum too.
		p.err = io.EOF
	default:
		p.left, p.err = nil, err
		return
	}
	if got := digest.NewDigest(digest.Canonical, p.sum); got != p.claim {
		p.left, p.err = nil, fmt.Errorf("its diff ID is %s, not %s", got, p.claim)
		return
	}
	p.left[0] = 1 // the last one
	p.left = binary.LittleEndian.AppendUint32(p.left, p.crc)
	p.left = binary.LittleEndian.AppendUint32(p.left, p.size)
}
