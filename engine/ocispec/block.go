package ocispec

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pcompose/pcompose/pod"
)

// DeviceNumber is a block device as the kernel counts it.
type DeviceNumber struct{ Major, Minor int64 }

// blockIO sets limits of block devices; runtimes turn the numbers of v1 into io.max and io.weight of v2.
func (b *builder) blockIO() error {
	io := b.c.Resources.BlockIO
	throttled := len(io.ReadBps)+len(io.WriteBps)+len(io.ReadIOps)+len(io.WriteIOps) > 0
	if io.Weight == 0 && len(io.WeightDevice) == 0 && !throttled {
		return nil
	}
	name := "blkio"
	if b.in.Host.CgroupV2 {
		name = "io"
	}
	if !b.controller(name, "blkio_config") {
		return nil
	}
	out := &specs.LinuxBlockIO{}
	if io.Weight != 0 || len(io.WeightDevice) > 0 {
		if !b.in.Host.BlockWeight {
			b.warn("the weights of blkio_config are not applied: this kernel has no I/O scheduler that knows weights (bfq)")
			io.Weight, io.WeightDevice = 0, nil
		}
		if io.Weight != 0 {
			out.Weight = &io.Weight
		}
		for _, d := range io.WeightDevice {
			n, err := b.number(d)
			if err != nil {
				return err
			}
			w := specs.LinuxWeightDevice{Weight: ptr(uint16(d.Value))}
			w.Major, w.Minor = n.Major, n.Minor
			out.WeightDevice = append(out.WeightDevice, w)
		}
	}
	for _, t := range []struct {
		from []pod.DeviceValue
		to   *[]specs.LinuxThrottleDevice
	}{
		{io.ReadBps, &out.ThrottleReadBpsDevice}, {io.WriteBps, &out.ThrottleWriteBpsDevice},
		{io.ReadIOps, &out.ThrottleReadIOPSDevice}, {io.WriteIOps, &out.ThrottleWriteIOPSDevice},
	} {
		for _, d := range t.from {
			n, err := b.number(d)
			if err != nil {
				return err
			}
			limit := specs.LinuxThrottleDevice{Rate: d.Value}
			limit.Major, limit.Minor = n.Major, n.Minor
			*t.to = append(*t.to, limit)
		}
	}
	if throttled || io.Weight != 0 || len(io.WeightDevice) > 0 {
		b.spec.Linux.Resources.BlockIO = out
	}
	return nil
}

func (b *builder) number(d pod.DeviceValue) (DeviceNumber, error) {
	n, ok := b.in.BlockDevices[d.Path]
	if !ok {
		return n, fmt.Errorf("blkio_config: %q is no block device of this host", d.Path)
	}
	return n, nil
}
