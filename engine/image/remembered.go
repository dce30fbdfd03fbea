package image

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/unshare"
)

// remembered is a reference whose source is opened once and asked once for each manifest and configuration, so that reading an image
// several times takes no more requests than once: registries limit them. Not for who wants sigstore's signatures or parts of
// layers, which only containers/image's own sources have.
type remembered struct {
	types.ImageReference
	mu     sync.Mutex
	source *rememberedSource
}

type rememberedSource struct {
	types.ImageSource
	mu sync.Mutex
	// By digest; "" is the one that the reference names.
	manifests map[digest.Digest]rememberedManifest
	configs   map[digest.Digest][]byte
}

type rememberedManifest struct {
	content []byte
	kind    string
}

// NewImageSource is the same one each time. Closing it does nothing; forget closes it.
func (r *remembered) NewImageSource(ctx context.Context, sys *types.SystemContext) (types.ImageSource, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.source == nil {
		source, err := r.ImageReference.NewImageSource(ctx, sys)
		if err != nil {
			return nil, err
		}
		r.source = &rememberedSource{
			ImageSource: source, manifests: map[digest.Digest]rememberedManifest{}, configs: map[digest.Digest][]byte{},
		}
	}
	return r.source, nil
}

// forget ends the use of the source.
func (r *remembered) forget() {
	if r.source != nil {
		r.source.ImageSource.Close()
	}
}

func (s *rememberedSource) Close() error { return nil }

func (s *rememberedSource) GetManifest(ctx context.Context, instance *digest.Digest) ([]byte, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var id digest.Digest
	if instance != nil {
		id = *instance
	}
	if m, ok := s.manifests[id]; ok {
		return m.content, m.kind, nil
	}
	content, kind, err := s.ImageSource.GetManifest(ctx, instance)
	if err == nil {
		s.manifests[id] = rememberedManifest{content, kind}
	}
	return content, kind, err
}

func (s *rememberedSource) GetBlob(ctx context.Context, info types.BlobInfo, cache types.BlobInfoCache) (io.ReadCloser, int64, error) {
	config := info.MediaType == v1.MediaTypeImageConfig || info.MediaType == manifest.DockerV2Schema2ConfigMediaType
	if !config || info.Size < 0 || info.Size > maxManifest {
		return s.ImageSource.GetBlob(ctx, info, cache)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.configs[info.Digest]
	if !ok {
		stream, _, err := s.ImageSource.GetBlob(ctx, info, cache)
		if err != nil {
			return nil, 0, err
		}
		defer stream.Close()
		// Who reads it holds it against its digest; what is longer than it was said to be is cut.
		if content, err = io.ReadAll(io.LimitReader(stream, info.Size)); err != nil {
			return nil, 0, err
		}
		s.configs[info.Digest] = content
	}
	return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
}

// wantsSigstore says that signatures of sigstore may be asked for: by the policy, or to be stored with the image
// (use-sigstore-attachments of containers-registries.d(5)).
func wantsSigstore(sys *types.SystemContext) (bool, error) {
	policy, err := signature.DefaultPolicy(sys)
	if err != nil {
		return false, err
	}
	rules, err := json.Marshal(policy)
	if err != nil || strings.Contains(string(rules), `"sigstoreSigned"`) {
		return true, err
	}
	files := configfile.File{
		Name: "registries", Extension: "yaml", DoNotLoadMainFiles: true, DoNotUseExtensionForConfigName: true, UserId: unshare.GetRootlessUID(),
	}
	for file, err := range configfile.Read(&files) {
		if err != nil {
			return false, err
		}
		text, err := io.ReadAll(file.Reader)
		if err != nil || strings.Contains(string(text), "use-sigstore-attachments") {
			return true, err
		}
	}
	return false, nil
}
