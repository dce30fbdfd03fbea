package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pcompose/pcompose/engine/ocispec"
	"github.com/pcompose/pcompose/pod"
	"golang.org/x/sys/unix"
)

// devices resolves the devices of a container; a privileged one gets all of the host's.
func devices(c pod.Container) ([]ocispec.Device, error) {
	var all []ocispec.Device
	for _, d := range c.Isolation.Devices {
		found, err := device(d)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if !c.Isolation.Privileged {
		return all, nil
	}
	every, err := deviceTree("/dev", "/dev", "rwm")
	return append(all, every...), err
}

// device is one device node, or all below a directory.
func device(d pod.Device) ([]ocispec.Device, error) {
	info, err := os.Stat(d.Source)
	if err != nil {
		return nil, fmt.Errorf("cannot add device: %w", err)
	}
	if info.IsDir() {
		return deviceTree(d.Source, d.Target, d.Permissions)
	}
	node, ok := deviceNode(d.Source, d.Target, d.Permissions)
	if !ok {
		return nil, fmt.Errorf("cannot add device: %s is no device", d.Source)
	}
	return []ocispec.Device{node}, nil
}

// deviceTree is the device nodes below a directory; file systems of a container's own are left out.
func deviceTree(from, to, permissions string) ([]ocispec.Device, error) {
	var all []ocispec.Device
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone while we look
		}
		if err != nil {
			return err
		}
		if e.IsDir() && from == "/dev" {
			switch path {
			case "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd":
				return fs.SkipDir
			}
		}
		if e.Type()&fs.ModeDevice == 0 || path == "/dev/console" || path == "/dev/ptmx" {
			return nil
		}
		rel, err := filepath.Rel(from, path)
		if node, ok := deviceNode(path, filepath.Join(to, rel), permissions); ok && err == nil {
			all = append(all, node)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot add devices: %w", err)
	}
	return all, nil
}

func deviceNode(source, target, permissions string) (ocispec.Device, bool) {
	var st unix.Stat_t
	if unix.Stat(source, &st) != nil {
		return ocispec.Device{}, false
	}
	kind := ""
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		kind = "c"
	case unix.S_IFBLK:
		kind = "b"
	default:
		return ocispec.Device{}, false
	}
	if target == "" {
		target = source
	}
	return ocispec.Device{
		Path: target, Type: kind, Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)),
		Mode: st.Mode & 0o777, UID: st.Uid, GID: st.Gid, Permissions: permissions,
	}, true
}

// blockDevices are the numbers of the block devices that limits name.
func blockDevices(io pod.BlockIO) (map[string]ocispec.DeviceNumber, error) {
	numbers := map[string]ocispec.DeviceNumber{}
	for _, list := range [][]pod.DeviceValue{io.WeightDevice, io.ReadBps, io.WriteBps, io.ReadIOps, io.WriteIOps} {
		for _, d := range list {
			node, ok := deviceNode(d.Path, "", "")
			if !ok || node.Type != "b" {
				return nil, fmt.Errorf("cannot limit %s, which blkio_config names: it is no block device", d.Path)
			}
			numbers[d.Path] = ocispec.DeviceNumber{Major: node.Major, Minor: node.Minor}
		}
	}
	return numbers, nil
}
