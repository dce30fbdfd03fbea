// Package pid1 is the init process of containers that ask for one (init: true): it runs the command, passes signals on,
// reaps orphans, and ends with the command's exit code. Its command line is that of catatonit and tini: init -- COMMAND.
//
// It must run in any container, whatever C library is there, and shall not show the host's programs to it. So it is a
// file of a kilobyte that needs nothing, made from machine code that was compiled into this binary.
package pid1

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// ErrNone says that there is no such program for this processor, or that the binary was built without cgo.
var ErrNone = errors.New("this pcompose has no init process for its processor")

// Program is the init process as an ELF executable: a header, one segment of code, and a stack that is no code (elf(5)).
func Program() ([]byte, error) {
	machine, ok := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	text, entry := code()
	if !ok || len(text) == 0 {
		return nil, ErrNone
	}
	// Any page but the first; the code is not bound to an address.
	const at, page, align = 0x400000, 0x10000, 64
	var h elf.Header64
	var segments [2]elf.Prog64
	size := binary.Size(h) + binary.Size(segments)
	start := (size + align - 1) / align * align
	h = elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Entry: uint64(at + start + entry),
		Phoff: uint64(binary.Size(h)), Ehsize: uint16(binary.Size(h)), Phentsize: uint16(binary.Size(segments[0])), Phnum: uint16(len(segments)),
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	whole := uint64(start + len(text))
	segments[0] = elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: at, Paddr: at, Filesz: whole, Memsz: whole, Align: page}
	segments[1] = elf.Prog64{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W), Align: 16}
	var file bytes.Buffer
	for _, part := range []any{h, segments, make([]byte, start-size), text} {
		if err := binary.Write(&file, binary.LittleEndian, part); err != nil {
			return nil, err
		}
	}
	return file.Bytes(), nil
}

// Write makes the program a file, of a kind that anybody may run and nobody change. It replaces one of another content,
// which containers that run keep.
func Write(path string) error {
	program, err := Program()
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, program) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return fmt.Errorf("cannot make init program: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".init-*")
	if err != nil {
		return fmt.Errorf("cannot make init program: %w", err)
	}
	_, err = tmp.Write(program)
	err = errors.Join(err, tmp.Chmod(0o555), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot make init program: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}
