package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

// TestAdapt writes anew what buildah would do otherwise than docker, on the lines where it was.
func TestAdapt(t *testing.T) {
	for _, c := range []struct {
		text, want string
		privileged bool
	}{
		{text: "FROM a\nCMD x\n"},
		{text: "FROM a\nSHELL [\"/bin/bash\", \"-ec\"]\nCMD [\"x\"]\nENTRYPOINT [\"y\"]\n"},
		{
			text: "FROM a AS One\nSHELL [\"/bin/bash\", \"-ec\"]\nCMD echo \"$X\" && \\\n  # why\n  <y\nENTRYPOINT z\nFROM b\nCMD sh\nFROM one\nCMD bash\n",
			want: "FROM a AS One\nSHELL [\"/bin/bash\", \"-ec\"]\nCMD [\"/bin/bash\",\"-ec\",\"echo \\\"$X\\\" \\u0026\\u0026   \\u003cy\"]\n\n\n" +
				"ENTRYPOINT [\"/bin/bash\",\"-ec\",\"z\"]\nFROM b\nCMD sh\nFROM one\nCMD [\"/bin/bash\",\"-ec\",\"bash\"]\n",
		},
		{text: "ARG S=one\nFROM a AS one\nSHELL [\"s\"]\nFROM ${S}\nCMD x\n", want: "ARG S=one\nFROM a AS one\nSHELL [\"s\"]\nFROM ${S}\nCMD [\"s\",\"x\"]\n"},
		{text: "FROM a\nWORKDIR /w\nCOPY x .\nUSER u\nWORKDIR v\nRUN x\nUSER root\nWORKDIR /x\n"},
		{
			text: "FROM a AS one\nUSER u:g\nWORKDIR /w\\\n/v\nADD x .\nWORKDIR /last\nFROM one\nWORKDIR /x\nCMD x\n",
			want: "FROM a AS one\nUSER u:g\nWORKDIR /w\\\n/v\nCOPY --from=pcompose-nothing . /\nADD x .\nWORKDIR /last\nCOPY --from=pcompose-nothing . /\n" +
				"FROM one\nWORKDIR /x\nCOPY --from=pcompose-nothing . /\nCMD x\n",
		},
		{text: "FROM a\nEXPOSE 80 90/udp $P 1.2.3.4:5:6\n"},
		{text: "FROM a\nEXPOSE 80-82 \\\n 7-8/udp $P-$Q\nRUN x\n", want: "FROM a\nEXPOSE 80 81 82 7/udp 8/udp $P-$Q\n\nRUN x\n"},
		{text: "FROM a\nEXPOSE 80\nEXPOSE http\n", want: `Dockerfile:3: EXPOSE http: "http" is no port: write a number or a range, as in 8000-8010/udp`},
		{
			text: "FROM a\nRUN --network=none \\\n --mount=type=tmpfs,target=/size,size=1m x ,size=1\n",
			want: "FROM a\nRUN --network=none \\\n --mount=type=tmpfs,target=/size,tmpfs-size=1m x ,size=1\n",
		},
		{text: "FROM a\nRUN --security=sandbox x\n", want: "FROM a\nRUN  x\n"},
		{text: "FROM a\nRUN --security=insecure x\n", want: "FROM a\nRUN  x\n", privileged: true},
		{
			text: "FROM a\nRUN --security=insecure x\n",
			want: "Dockerfile:2: RUN --security=insecure x: a single RUN is not given privileges: say privileged: true in the build section",
		},
	} {
		o := &order{dir: t.TempDir(), file: &dockerfile{path: "as it is", name: "Dockerfile", text: []byte(c.text)}, build: pod.Build{Privileged: c.privileged}}
		if err := o.file.parse(o.file.text); err != nil {
			t.Fatal(err)
		}
		got := ""
		path, err := o.adapt()
		switch {
		case err != nil:
			got = err.Error()
		case path != o.file.path:
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got = string(text)
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// TestEntered names the folders that buildah must look into for what a pattern takes back.
func TestEntered(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{"a.txt", "sub/c.txt", "sub/deep/d.md", "sub/other/e.txt", "s[ub/f.md"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ patterns, want string }{
		{"*.md", ""},
		{"* !sub/deep", ""},
		{"* !**/*.md", "!sub/deep/" + nowhere},
		{"* !sub/*/*.txt", "!sub/other/" + nowhere},
		{"**/deep !*.txt", ""},
	} {
		patterns := strings.Fields(c.patterns)
		got, err := entered(root, patterns)
		if err != nil {
			t.Fatal(err)
		}
		if want := append(slices.Clone(patterns), strings.Fields(c.want)...); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", patterns, got, want)
		}
	}
	if _, err := entered(root, []string{"[", "!*"}); err == nil {
		t.Error("a pattern that is none was taken")
	}
}
