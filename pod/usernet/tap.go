package usernet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// tap is the stack's link: frames of a tap, whose other end knows our hardware address for good, so that nobody asks for any.
type tap struct {
	// Endpoint has what no link of this kind needs; its queue is not used.
	*channel.Endpoint
	conn syscall.RawConn
	link Link
	ping pinger
}

func newTap(file *os.File, l Link) (*tap, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	e := channel.New(0, MTU, "")
	// The other end is this machine's memory: no checksum of what comes from there needs looking at.
	e.LinkEPCapabilities = stack.CapabilityRXChecksumOffload
	t := &tap{Endpoint: e, conn: conn, link: l}
	t.ping = pinger{link: l, send: t.send, slots: make(chan struct{}, maxPings)}
	return t, nil
}

// read takes frames until the tap is gone.
func (t *tap) read() error {
	frame := make([]byte, header.EthernetMinimumSize+1<<16)
	for {
		var n int
		var err error
		if cerr := t.conn.Read(func(fd uintptr) bool {
			for {
				n, err = unix.Read(int(fd), frame)
				if !errors.Is(err, unix.EINTR) {
					return !errors.Is(err, unix.EAGAIN)
				}
			}
		}); cerr != nil {
			return cerr
		}
		if err != nil {
			return fmt.Errorf("cannot read the tap: %w", err)
		}
		if n > header.EthernetMinimumSize {
			t.deliver(frame[:n])
		}
	}
}

// deliver gives a frame to the stack, but for pings, which the stack would answer itself, whomever they are for.
func (t *tap) deliver(frame []byte) {
	packet := frame[header.EthernetMinimumSize:]
	protocol := tcpip.NetworkProtocolNumber(binary.BigEndian.Uint16(frame[12:]))
	if protocol != ipv4.ProtocolNumber && protocol != ipv6.ProtocolNumber || t.ping.takes(protocol, packet) {
		return
	}
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
	t.InjectInbound(protocol, p)
	p.DecRef()
}

// WritePackets sends packets of the stack to the pod. One that finds the tap's queue full is lost, as on any link.
func (t *tap) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	for _, p := range list.AsSlice() {
		t.send(p.NetworkProtocolNumber, p.AsSlices()...)
	}
	return list.Len(), nil
}

// send sends one packet.
func (t *tap) send(protocol tcpip.NetworkProtocolNumber, packet ...[]byte) {
	var head [header.EthernetMinimumSize]byte
	copy(head[:], t.link.Pods)
	copy(head[6:], t.link.Ours)
	binary.BigEndian.PutUint16(head[12:], uint16(protocol))
	frame := append([][]byte{head[:]}, packet...)
	_ = t.conn.Control(func(fd uintptr) { _, _ = unix.Writev(int(fd), frame) }) // fails when the tap has gone, which read tells
}
