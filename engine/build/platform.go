package build

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
	"go.podman.io/buildah/define"
	"golang.org/x/sys/unix"
)

// place chooses the platform: of several the machine's, else the first.
func (o *order) place(ctx context.Context, options *define.BuildOptions) error {
	list := o.build.Platforms
	if o.build.Platform != "" {
		list = []string{o.build.Platform}
	}
	if len(list) == 0 {
		return nil
	}
	var specs []platforms.Platform
	for _, text := range list {
		p, err := platforms.Parse(text)
		if err != nil {
			return fmt.Errorf("platform %q: %w", text, err)
		}
		specs = append(specs, p)
	}
	p := specs[max(0, slices.IndexFunc(specs, platforms.Default().Match))]
	options.Platforms = []struct{ OS, Arch, Variant string }{{p.OS, p.Architecture, p.Variant}}
	if platforms.Default().Match(p) {
		return nil
	}
	n := reading{o, o.file.arguments(o.build.Args)}.foreignRun()
	if n == nil || runs(ctx, p.Architecture, o.shop.tmp()) {
		return nil
	}
	return o.file.at(n, fmt.Errorf("this machine runs no programs of %s: install qemu-user-static, which registers with binfmt_misc, or run it in a stage of FROM --platform=$BUILDPLATFORM",
		platforms.Format(p)))
}

// foreignRun is the first RUN of the image's platform in what the image needs; nil where there is none.
func (r reading) foreignRun() *parser.Node {
	needed, native := r.needed(), make([]bool, len(r.file.stages))
	for i, stage := range r.file.stages {
		from := flag(stage[0], "--platform")
		base := r.stage(first(wordsOf(stage[0])), i)
		p, err := platforms.Parse(from)
		switch {
		case strings.Contains(from, "BUILDPLATFORM"), strings.Contains(from, "BUILDARCH"):
			native[i] = true
		case from != "":
			native[i] = err == nil && platforms.Default().Match(p)
		case base >= 0:
			native[i] = native[base]
		}
		if !needed[i] || native[i] {
			continue
		}
		for _, n := range stage {
			if strings.EqualFold(n.Value, command.Run) {
				return n
			}
		}
	}
	return nil
}

// needed says of each stage whether the image is made of it.
func (r reading) needed() []bool {
	stages := r.file.stages
	needed := make([]bool, len(stages))
	last := len(stages) - 1
	if i := r.stage(r.build.Target, len(stages)); i >= 0 {
		last = i
	}
	needed[last] = true
	for i := last; i >= 0; i-- { // a stage takes from those before it only
		if !needed[i] {
			continue
		}
		for _, n := range stages[i] {
			names := []string{flag(n, "--from")}
			if strings.EqualFold(n.Value, command.From) {
				names = []string{first(wordsOf(n))}
			}
			for _, f := range n.Flags {
				if mount, ok := strings.CutPrefix(f, "--mount="); ok {
					names = append(names, mountOf(mount)["from"])
				}
			}
			for _, name := range names {
				if at := r.stage(name, i); at >= 0 {
					needed[at] = true
				}
			}
		}
	}
	return needed
}

// stage is the number of the stage that a word means, among those before another; -1 for none.
func (r reading) stage(word string, before int) int {
	name, err := imagebuilder.ProcessWord(word, r.args)
	if err != nil || name == "" {
		return -1
	}
	for i := before - 1; i >= 0; i-- {
		if strings.EqualFold(stageName(r.file.stages[i]), name) || fmt.Sprint(i) == name {
			return i
		}
	}
	return -1
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// runs says whether the kernel runs programs of another architecture, by an interpreter of binfmt_misc: it is given one. Where that
// is registered is not always to be seen, as in a container.
func runs(ctx context.Context, arch, dir string) bool {
	header, ok := program(arch)
	if !ok {
		return true // who knows
	}
	path := filepath.Join(dir, "program-"+arch)
	if err := os.WriteFile(path, header, 0o700); err != nil {
		return true
	}
	defer os.Remove(path)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // the interpreter finds at once that nothing follows the header
	defer cancel()
	return !errors.Is(exec.CommandContext(ctx, path).Run(), unix.ENOEXEC)
}

// program is the header of an ELF executable (elf(5)): what binfmt_misc looks at, and the kernel refuses with ENOEXEC if it is
// not its own.
func program(arch string) ([]byte, bool) {
	machines := map[string]elf.Machine{
		"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
		"mips64le": elf.EM_MIPS, "loong64": elf.EM_LOONGARCH, "386": elf.EM_386, "arm": elf.EM_ARM,
	}
	machine, ok := machines[arch]
	if !ok {
		return nil, false
	}
	var order binary.ByteOrder = binary.LittleEndian
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	if arch == "s390x" {
		ident[elf.EI_DATA], order = byte(elf.ELFDATA2MSB), binary.BigEndian
	}
	var header any = elf.Header64{Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT)}
	if arch == "386" || arch == "arm" {
		ident[elf.EI_CLASS] = byte(elf.ELFCLASS32)
		header = elf.Header32{Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT)}
	}
	var b bytes.Buffer
	_ = binary.Write(&b, order, header) // of a fixed size, into memory
	return b.Bytes(), true
}
