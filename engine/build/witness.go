package build

import (
	"errors"
	"regexp"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
)

// witness is the store as one build sees it: it takes down what the build asked for by name, and what it was told. So it is
// known which images a result is made of, however a Dockerfile named them, whatever a short name was tried as, and at the
// moment that counted.
type witness struct {
	storage.Store
	mu sync.Mutex
	// answers are the last ones by name: an image's ID, "" for none. An image that was pulled meanwhile had none before.
	answers map[string]string
	// moved are the names that meant one image and then another.
	moved map[string]bool
}

func newWitness(store storage.Store) *witness {
	return &witness{Store: store, answers: map[string]string{}, moved: map[string]bool{}}
}

// Image finds an image by a name or an ID.
func (w *witness) Image(name string) (*storage.Image, error) {
	found, err := w.Store.Image(name)
	switch {
	case err == nil:
		w.note(name, found.ID)
	case errors.Is(err, storage.ErrImageUnknown):
		w.note(name, "")
	}
	return found, err
}

// ImagesByDigest finds the images that a reference with a digest may mean.
func (w *witness) ImagesByDigest(d digest.Digest) ([]*storage.Image, error) {
	found, err := w.Store.ImagesByDigest(d)
	if err == nil {
		w.note(digestMark+d.String(), idsOf(found))
	}
	return found, err
}

// digestMark is before what was asked for by digest. It is in no name.
const digestMark = "@"

func idsOf(images []*storage.Image) string {
	var ids []string
	for _, i := range images {
		ids = append(ids, i.ID)
	}
	return strings.Join(ids, " ")
}

func (w *witness) note(name, id string) {
	// An ID never means another image, and what a layer is called while it is made is made up (buildah: commit.go).
	if name == id || regexp.MustCompile(`^(docker\.io/library/)?[0-9a-f]{64}-tmp(:latest)?$`).MatchString(name) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if before := w.answers[name]; before != "" && before != id {
		w.moved[name] = true
	}
	w.answers[name] = id
}

// agrees says whether the store would give a build the same answers again.
func agrees(store storage.Store, answers map[string]string) bool {
	again := newWitness(store)
	for name, id := range answers {
		if sum, ok := strings.CutPrefix(name, digestMark); ok {
			_, _ = again.ImagesByDigest(digest.Digest(sum)) // what fails has no answer
		} else {
			_, _ = again.Image(name)
		}
		if got, asked := again.answers[name]; !asked || got != id {
			return false
		}
	}
	return true
}
