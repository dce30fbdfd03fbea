package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
)

// spool is a blob on its way: a file without a name, so that nothing of it outlives the process, that is read while it is written.
type spool struct {
	file *os.File
	mu   sync.Mutex
	// Under the lock: size is what was written; ended says that nothing follows, err why, where that is not the blob's end.
	grown *sync.Cond
	size  int64
	ended bool
	err   error
}

// newSpool makes one in a folder for large files.
func newSpool(dir string) (*spool, error) {
	file, err := os.CreateTemp(dir, "pcompose-layer-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	s := &spool{file: file}
	s.grown = sync.NewCond(&s.mu)
	return s, nil
}

// fill writes the blob, of a size where that is not negative. Who reads gets its end only where there was no error.
func (s *spool) fill(blob io.Reader, size int64) error {
	_, err := io.Copy(spoolWriter{s}, blob)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && size >= 0 && s.size != size {
		err = fmt.Errorf("it has %d bytes, not %d: %w", s.size, size, errLeft)
	}
	s.end(err)
	return s.err
}

// fail ends both sides.
func (s *spool) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(err)
}

// end is under the lock.
func (s *spool) end(err error) {
	if !s.ended {
		s.ended, s.err = true, err
	}
	s.grown.Broadcast()
}

func (s *spool) close() { s.file.Close() }

// spoolWriter is the side that one goroutine writes to.
type spoolWriter struct{ *spool }

func (w spoolWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	at, err := w.size, w.err
	w.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := w.file.WriteAt(b, at)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.size += int64(n)
	w.grown.Broadcast()
	return n, err
}

// spoolReader reads a spool from its begin. It waits for what is not written yet: whoever fills sees that ctx ends.
type spoolReader struct {
	ctx context.Context
	*spool
	at int64
}

func (r *spoolReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	r.mu.Lock()
	for r.size == r.at && !r.ended {
		r.grown.Wait()
	}
	left, err := r.size-r.at, r.err
	r.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if left == 0 {
		return 0, io.EOF
	}
	n, err := r.file.ReadAt(b[:min(int64(len(b)), left)], r.at)
	r.at += int64(n)
	return n, err
}
