package resolver

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// forward asks the servers, one after the other, until one answers, and gives its answer as it is: what we do not
// understand passes too. When none does, the answer says so. It is given up when over is closed.
func forward(view *View, question []byte, tcp bool, over <-chan struct{}) []byte {
	for _, server := range view.Upstream() {
		reply, err := view.ask(server, question, tcp, over)
		if err == nil && !failed(reply) {
			return reply
		}
		select {
		case <-over:
			return nil
		default:
		}
	}
	var p dnsmessage.Parser
	header, err := p.Start(question)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	return failure(header, &q, dnsmessage.RCodeServerFailure)
}

// failed says whether a server could not answer, as against that there is no answer: then the next is asked, as
// libc does.
func failed(reply []byte) bool {
	var p dnsmessage.Parser
	h, err := p.Start(reply)
	return err != nil || h.RCode == dnsmessage.RCodeServerFailure || h.RCode == dnsmessage.RCodeRefused
}

// ask sends a question to one server, from a port of its own: who would forge the answer has to guess it.
func (v *View) ask(server netip.AddrPort, question []byte, tcp bool, over <-chan struct{}) ([]byte, error) {
	network := "udp"
	if tcp {
		network = "tcp"
	}
	conn, err := v.dial(network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-over:
			conn.Close()
		case <-done:
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(Timeout)); err != nil {
		return nil, err
	}
	if tcp {
		if err := writeMessage(conn, question); err != nil {
			return nil, err
		}
		return readMessage(conn)
	}
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	buffer := make([]byte, maxMessage)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		// An answer to something else is none.
		if n >= 2 && buffer[0] == question[0] && buffer[1] == question[1] {
			return buffer[:n], nil
		}
	}
}

// readMessage reads a message of a TCP connection, which stands behind its length (RFC 1035 section 4.2.2).
func readMessage(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

func writeMessage(w io.Writer, message []byte) error {
	if len(message) == 0 || len(message) > maxMessage {
		return errors.New("no message")
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}
