package engine

import (
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// linked is a problem with the session in which it happened, and the line that it is about.
func (r *wireRecorder) linked(p *api.Problem) *api.Problem {
	if r == nil || p == nil {
		return p
	}
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return r.link(p)
}

// link is linked, with log.mu held.
func (r *wireRecorder) link(p *api.Problem) *api.Problem {
	if p.Session != 0 {
		return p
	}
	own := *p
	own.Session, own.Line = r.session.ID, r.fault(p)
	return &own
}

// fault is the Seq of the line that a problem is about, of those said so far: the reply that it quotes; of another refusal,
// the last reply that refused something; of anything else (a cut, silence) the last line that was said, and where nothing
// was, what was tried. Call it with log.mu held.
func (r *wireRecorder) fault(p *api.Problem) uint64 {
	var said, refused, noted uint64
	for _, part := range [...][]wireEntry{r.tail[:r.next], r.tail[r.next:], r.middle, r.head} {
		for i := range slices.Backward(part) {
			e := &part[i]
			if e.gap != nil || e.who == api.Remark {
				if noted == 0 && !strings.HasPrefix(e.text, closedAfter) {
					noted = e.seq
				}
				continue
			}
			if said == 0 {
				said = e.seq
			}
			if !r.refuses(e) {
				continue
			}
			if refused == 0 {
				refused = e.seq
			}
			if words := r.words(e.text); words != "" && strings.Contains(p.Technical, words) {
				return e.seq
			}
		}
	}
	switch {
	case refused != 0 && isSaid(p.Code):
		return refused
	case said != 0:
		return said
	}
	return noted
}

// refuses says whether a line is a server's No.
func (r *wireRecorder) refuses(e *wireEntry) bool {
	switch {
	case e.who != api.ServerSays || e.text == "":
		return false
	case r.session.Protocol == api.POP3:
		return strings.HasPrefix(e.text, "-ERR")
	}
	return e.text[0] == '4' || e.text[0] == '5' // RFC 5321 section 4.2.1
}

// words are what an error quotes of a reply: of several lines the first alone, for each of them begins with the code.
func (r *wireRecorder) words(reply string) string {
	if r.session.Protocol != api.POP3 {
		return strings.Replace(reply, "-", " ", 1)
	}
	text := strings.TrimSpace(strings.TrimPrefix(reply, "-ERR"))
	if strings.HasPrefix(text, "[") { // RFC 2449 section 8
		_, text, _ = strings.Cut(text, "]")
	}
	return strings.TrimSpace(text)
}

// isSaid says that a problem is what a server said, not that it did not say it.
func isSaid(c api.Code) bool {
	switch c {
	case api.CodeServerRefused, api.CodeWrongPassword, api.CodeMaildropLocked, api.CodeRecipientRefused, api.CodeMessageRefused, api.CodeTooLarge, api.CodeNoMechanism, api.CodeNoTLS, api.CodeUnconfirmed,
		api.CodeNoSuchFile, api.CodeFileExists, api.CodeFileNotAllowed, api.CodeServerFull, api.CodeServerWantsTLS, api.CodeTLSReuse, api.CodeServerBusy, api.CodeServerCannot:
		return true
	}
	return false
}
