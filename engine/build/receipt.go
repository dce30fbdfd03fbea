package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
	"go.podman.io/buildah/define"
	"go.podman.io/buildah/pkg/parse"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/fileutils"
)

// receipt says what an image was made of. The next build of the same need not ask buildah, which mounts a container for each step,
// those of its cache too. There is one a place, the last: a file that appears whole, and is no more than a help: one that
// is missing, spoilt or of another store costs time.
type receipt struct {
	// Key is what the Dockerfile, the options and the contexts were, Answers which images names meant (see witness).
	Key     string
	Answers map[string]string
	// ID is the image, Steps are its instructions, for those who watch.
	ID    string
	Steps []pod.BuildStep
	// Files are what files of the contexts held, by path.
	Files map[string]fileDigest
}

// receiptFormat changes with the meaning of a Key.
const receiptFormat = "3"

func receiptDir(cfg Config) string { return filepath.Join(cfg.Root, "build-receipts") }

// ticket is what a build is known by before it is done.
type ticket struct {
	path string
	key  string
	// stamps tell whether a context was written to meanwhile.
	stamps string
	files  map[string]fileDigest
	// last is the receipt of the place; its Key is "" where there is none.
	last receipt
}

// ticket digests what the image is made of; ok is false where that cannot be said beforehand.
func (o *order) ticket(ctx context.Context) (t ticket, ok bool) {
	place := sha256.Sum256([]byte(strings.Join([]string{o.build.Image(), o.build.Context, o.build.Dockerfile, o.build.Target, o.build.Platform}, "\x00")))
	t.path = filepath.Join(receiptDir(o.cfg), hex.EncodeToString(place[:]))
	if content, err := os.ReadFile(t.path); err == nil && json.Unmarshal(content, &t.last) != nil {
		t.last = receipt{}
	}
	return t, t.take(ctx, o)
}

// take reads the contexts.
func (t *ticket) take(ctx context.Context, o *order) bool {
	sources, ok := o.sources()
	if !ok {
		return false
	}
	c := newContents(ctx, t.last.Files, o.cfg.Now())
	fmt.Fprintf(c.sum, "%s %s\n%s\n%q\n", receiptFormat, define.Version, o.settings(), o.file.text)
	for _, s := range sources {
		root, matcher, err := o.look(s)
		if err == nil {
			fmt.Fprintf(c.sum, "context %q\n", s.context)
			err = c.add(root, s.path, matcher)
		}
		if err != nil {
			return false // buildah will say what is wrong
		}
	}
	t.key, t.stamps, t.files = hex.EncodeToString(c.sum.Sum(nil)), hex.EncodeToString(c.stamps.Sum(nil)), c.files
	return true
}

// look is where a source is, and what is left out there.
func (o *order) look(s source) (root string, matcher *fileutils.PatternMatcher, err error) {
	root = o.context
	var dockerfiles []string
	if s.context != "" {
		root = o.folders[s.context]
	} else {
		dockerfiles = []string{o.file.path}
	}
	if root, err = filepath.EvalSymlinks(root); err != nil || s.bound {
		return root, nil, err
	}
	excludes, _, err := parse.ContainerIgnoreFile(root, "", dockerfiles)
	if err != nil || len(excludes) == 0 {
		return root, nil, err
	}
	matcher, err = fileutils.NewPatternMatcher(excludes)
	return root, matcher, err
}

// settings are what the image depends on besides the Dockerfile and folders. Of secrets and keys it is their IDs, as in docker: a
// new token is no reason to build again.
func (o *order) settings() []byte {
	b := o.build
	b.Services, b.Tags, b.Unnamed, b.After, b.CacheFrom, b.CacheTo, b.NoCache, b.Pull = nil, nil, nil, nil, nil, nil, false, false
	b.Context, b.Dockerfile, b.Inline = "", "", ""
	b.Secrets, b.SSH = slices.Clone(b.Secrets), slices.Clone(b.SSH)
	for i, s := range b.Secrets {
		b.Secrets[i] = pod.BuildSecret{ID: s.ID}
	}
	for i, s := range b.SSH {
		b.SSH[i] = pod.BuildSSH{ID: s.ID}
	}
	b.Contexts = map[string]string{}
	for name, value := range o.build.Contexts {
		if isImage(value) {
			b.Contexts[name] = value
		} else {
			b.Contexts[name] = "folder"
		}
	}
	text, _ := json.Marshal(b) // strings, numbers and lists of them
	return text
}

// known is the image of the last build, if that was of the same and the image is still there; it has its names then.
func (o *order) known(t ticket, report func(pod.BuildStep)) (id string, ok bool) {
	if t.last.Key != t.key || o.build.NoCache || o.build.Pull || len(o.build.CacheTo) > 0 {
		return "", false
	}
	store := o.cfg.Store
	if !agrees(store, t.last.Answers) {
		return "", false
	}
	image, err := store.Image(t.last.ID)
	if err != nil || image.ID != t.last.ID {
		return "", false
	}
	if _, err := store.Layer(image.TopLayer); err != nil && image.TopLayer != "" {
		return "", false
	}
	if err := name(store, image, o.build.Tags); err != nil {
		return "", false
	}
	for _, s := range t.last.Steps {
		report(pod.BuildStep{Name: s.Name, Text: s.Text})
		report(s)
	}
	return image.ID, true
}

// name gives an image the names that it lacks.
func name(store storage.Store, image *storage.Image, tags []string) error {
	names, err := ownNames(tags)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(image.Names, n) })
	if len(names) == 0 {
		return nil
	}
	return store.AddNames(image.ID, names)
}

// remember writes the receipt of a build that was done, unless what it was made of changed meanwhile.
func (o *order) remember(ctx context.Context, t ticket, w *witness, out *output, id string) error {
	now := t
	text, err := os.ReadFile(o.file.path)
	if err != nil || !bytes.Equal(text, o.file.text) || !now.take(ctx, o) || now.key != t.key || now.stamps != t.stamps || out.foreign {
		return nil
	}
	own, err := ownNames(o.build.Tags)
	if err != nil {
		return err
	}
	answers := map[string]string{}
	for name, id := range w.answers {
		if slices.Contains(own, name) || slices.Contains(o.build.Tags, name) {
			continue
		}
		if w.moved[name] {
			return nil
		}
		answers[name] = id
	}
	content, err := json.Marshal(receipt{Key: t.key, Answers: answers, ID: id, Steps: out.ended, Files: now.files})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(t.path), 0o700); err != nil {
		return err
	}
	whole, err := os.CreateTemp(o.shop.tmp(), "receipt-") // of the same file system
	if err != nil {
		return err
	}
	_, err = whole.Write(content)
	return errors.Join(err, whole.Close(), os.Rename(whole.Name(), t.path))
}

// sweepReceipts removes those of images that the store does not have.
func sweepReceipts(cfg Config) error {
	var errs []error
	for _, name := range names(receiptDir(cfg)) {
		path := filepath.Join(receiptDir(cfg), name)
		var r receipt
		content, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(content, &r)
		}
		if err == nil {
			_, err = cfg.Store.Image(r.ID)
		}
		if err != nil {
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(errs...)
}
