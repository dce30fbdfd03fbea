package image

import (
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/pcompose/pcompose/pod"
)

// pulledKey names, with what the store keeps of an image, when it was last pulled: so it goes with the image.
const pulledKey = "pcompose-pulled"

// Age is the time since an image was last pulled, by its ID; pod.UnknownAge where pcompose never pulled it, or the
// clock was set back since.
func (s *Store) Age(id string) time.Duration {
	text, err := s.storage.ImageBigData(id, pulledKey)
	if err != nil {
		return pod.UnknownAge
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	age := s.now().Sub(at)
	if err != nil || age < 0 {
		return pod.UnknownAge
	}
	return age
}

// pulled notes that an image was pulled now.
func (s *Store) pulled(id string) error {
	text := []byte(s.now().UTC().Format(time.RFC3339Nano))
	return s.storage.SetImageBigData(id, pulledKey, text, func(b []byte) (digest.Digest, error) { return digest.FromBytes(b), nil })
}
