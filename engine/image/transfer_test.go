package image

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestTransferOfAnIndex(t *testing.T) {
	address := hubMirror(t, nil)
	index := pushIndex(t, address, "library/multi")
	var parts imgspec.Index
	if err := json.Unmarshal(fetch(t, address, "library/multi", "1"), &parts); err != nil {
		t.Fatal(err)
	}
	own, other := parts.Manifests[0].Digest.String(), parts.Manifests[1].Digest.String()
	for _, test := range []struct {
		name    string
		options TransferOptions
		want    string
		has     []string
	}{
		{"all", TransferOptions{All: true, PreserveDigests: true}, index, []string{own, other}},
		{"own", TransferOptions{}, own, nil},
		{"other", TransferOptions{Platform: "linux/s390x"}, other, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := test.options
			o.From, o.To = End{Name: "docker://multi:1"}, End{Name: "docker://" + address + "/copied/" + test.name + ":1", Insecure: true}
			for range 2 { // done again it is the same
				id, err := NewRegistries().Transfer(t.Context(), o)
				if err != nil || id.String() != test.want {
					t.Fatalf("%s, %v: want %s", id, err, test.want)
				}
			}
			for _, id := range test.has {
				fetch(t, address, "copied/"+test.name, id)
			}
		})
	}

	// An index goes through a folder and comes back as it was.
	dir := t.TempDir()
	from, to := End{Name: "docker://multi:1"}, End{Name: "oci:" + dir + ":multi"}
	for _, ends := range [][2]End{{from, to}, {to, {Name: "docker://" + address + "/back:1", Insecure: true}}} {
		id, err := NewRegistries().Transfer(t.Context(), TransferOptions{From: ends[0], To: ends[1], All: true})
		if err != nil {
			t.Fatalf("%s, %v", id, err)
		}
	}
	if blobs, _ := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*")); len(blobs) < 7 {
		t.Errorf("%d blobs, want those of two images and their index", len(blobs))
	}
	var back imgspec.Index
	if err := json.Unmarshal(fetch(t, address, "back", "1"), &back); err != nil || len(back.Manifests) != 2 {
		t.Errorf("%d images came back, %v", len(back.Manifests), err)
	}
	if _, err := os.Stat(filepath.Join(dir, imgspec.ImageLayoutFile)); err != nil {
		t.Error(err)
	}
}

// fetch gets a manifest of the registry by its tag or digest.
func fetch(t *testing.T, address, repository, reference string) []byte {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/v2/"+repository+"/manifests/"+reference, nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s:%s: %s, %v", repository, reference, resp.Status, err)
	}
	return content
}
