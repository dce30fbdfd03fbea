package resolver

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// ttl is for how many seconds an answer may be kept: a replica that comes or goes is noticed by the next question.
const ttl = 0

// answer answers what the view knows; done is false for what another has to be asked.
func (s *Server) answer(view *View, question []byte, tcp bool) (reply []byte, done bool) {
	var p dnsmessage.Parser
	header, err := p.Start(question)
	if err != nil {
		return nil, true // no message, no answer
	}
	q, err := p.Question()
	if err != nil || header.Response {
		return failure(header, nil, dnsmessage.RCodeFormatError), true
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	a := reader{view: view, name: name, question: q, turn: int(s.turn.Add(1))}
	if q.Class != dnsmessage.ClassINET || !a.find() && !a.findElsewhere() {
		if view.Upstream != nil {
			return nil, false
		}
		// Without anybody to ask, an unknown name is one that there is not.
		return failure(header, &q, dnsmessage.RCodeNameError), true
	}
	limit := maxMessage
	if !tcp {
		limit = room(&p)
	}
	return a.reply(header, limit), true
}

// reader finds the answers to one question.
type reader struct {
	view     *View
	name     string
	question dnsmessage.Question
	turn     int
	answers  []dnsmessage.ResourceBody
	// extra are the addresses of an answer's targets.
	extra []dnsmessage.Resource
}

// find says whether the view knows the name, and collects the answers of the type asked for.
func (r *reader) find() bool {
	if ip, ok := reversed(r.name); ok {
		host, known := r.view.Pointers[ip]
		if known && r.question.Type == dnsmessage.TypePTR {
			if target, err := dnsmessage.NewName(host + "."); err == nil {
				r.answers = append(r.answers, &dnsmessage.PTRResource{PTR: target})
			}
		}
		return known
	}
	if services, known := r.view.Services[r.name]; known {
		if r.question.Type == dnsmessage.TypeSRV {
			r.services(services)
		}
		return true
	}
	addresses, known := r.view.Names[r.name]
	for i := range addresses {
		// Replicas in turn: each question begins with the next of them.
		if body := address(addresses[(i+r.turn)%len(addresses)], r.question.Type); body != nil {
			r.answers = append(r.answers, body)
		}
	}
	return known
}

// findElsewhere finds in other pods what this one does not know.
func (r *reader) findElsewhere() bool {
	if r.view.Elsewhere == nil {
		return false
	}
	other := r.view.Elsewhere()
	r.view = &other
	return r.find()
}

func (r *reader) services(services []Service) {
	for _, s := range services {
		target, err := dnsmessage.NewName(s.Target + ".")
		if err != nil {
			continue
		}
		r.answers = append(r.answers, &dnsmessage.SRVResource{Priority: 0, Weight: 1, Port: s.Port, Target: target})
		for _, ip := range r.view.Names[s.Target] {
			for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
				if body := address(ip, kind); body != nil {
					r.extra = append(r.extra, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: target, Class: dnsmessage.ClassINET, TTL: ttl}, Body: body})
				}
			}
		}
	}
}

// address is an address as a record of the type asked for; nil where it is of the other family.
func address(ip netip.Addr, kind dnsmessage.Type) dnsmessage.ResourceBody {
	switch {
	case ip.Is4() && kind == dnsmessage.TypeA:
		return &dnsmessage.AResource{A: ip.As4()}
	case ip.Is6() && kind == dnsmessage.TypeAAAA:
		return &dnsmessage.AAAAResource{AAAA: ip.As16()}
	}
	return nil
}

// reply is the message of at most limit bytes; what does not fit is left out, and the message says so.
func (r *reader) reply(asked dnsmessage.Header, limit int) []byte {
	m := dnsmessage.Message{Header: head(asked, dnsmessage.RCodeSuccess), Questions: []dnsmessage.Question{r.question}, Additionals: r.extra}
	m.Authoritative = true
	for _, body := range r.answers {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: r.question.Name, Class: dnsmessage.ClassINET, TTL: ttl}, Body: body})
	}
	for {
		packed, err := m.Pack()
		if err != nil {
			return failure(asked, &r.question, dnsmessage.RCodeServerFailure)
		}
		switch {
		case len(packed) <= limit:
			return packed
		case len(m.Additionals) > 0:
			// What was not asked for goes first, and without a word (RFC 2181 section 9).
			m.Additionals = nil
		default:
			m.Truncated = true
			m.Answers = m.Answers[:len(m.Answers)/2]
		}
	}
}

// room is how much the asker takes in one datagram: 512 bytes, or what its OPT record says (RFC 6891).
func room(p *dnsmessage.Parser) int {
	const least = 512
	if p.SkipAllQuestions() != nil || p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return least
	}
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			return least
		}
		if h.Type == dnsmessage.TypeOPT {
			return max(least, int(h.Class))
		}
		if p.SkipAdditional() != nil {
			return least
		}
	}
}

func head(asked dnsmessage.Header, code dnsmessage.RCode) dnsmessage.Header {
	return dnsmessage.Header{ID: asked.ID, Response: true, OpCode: asked.OpCode, RecursionDesired: asked.RecursionDesired, RecursionAvailable: true, RCode: code}
}

// failure is an answer without one.
func failure(asked dnsmessage.Header, q *dnsmessage.Question, code dnsmessage.RCode) []byte {
	m := dnsmessage.Message{Header: head(asked, code)}
	if q != nil {
		m.Questions = []dnsmessage.Question{*q}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil // a question that cannot be repeated gets no answer
	}
	return packed
}

// reversed reads 4.3.2.1.in-addr.arpa and its counterpart of IPv6 (RFC 3596 section 2.5).
func reversed(name string) (netip.Addr, bool) {
	if digits, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		parts := strings.Split(digits, ".")
		if len(parts) != 4 {
			return netip.Addr{}, false
		}
		ip, err := netip.ParseAddr(parts[3] + "." + parts[2] + "." + parts[1] + "." + parts[0])
		return ip, err == nil
	}
	nibbles, ok := strings.CutSuffix(name, ".ip6.arpa")
	parts := strings.Split(nibbles, ".")
	if !ok || len(parts) != 32 {
		return netip.Addr{}, false
	}
	var b [16]byte
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 16, 4)
		if err != nil || len(p) != 1 {
			return netip.Addr{}, false
		}
		at := 31 - i
		b[at/2] |= byte(n) << (4 * (1 - at%2))
	}
	return netip.AddrFrom16(b), true
}
