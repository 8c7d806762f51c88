package engine

import (
	"crypto/tls"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/printable"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/trust"
)

// What is kept of one session: the beginning, the end, and between them what was refused and our remarks. The rest is
// counted: of 10,000 messages fetched, what is said of the 5,000th is what was said of the others.
const (
	headLines   = 80
	tailLines   = 120
	markedLines = 60
	lineOctets  = 400 // a line of RFC 2449 section 4 has 512, one of RFC 5321 section 4.5.3.1.5 too; who reads looks at the beginning
)

// wireRecorder takes down one connection. A nil one keeps nothing. What it is told comes in order; any goroutine may.
type wireRecorder struct {
	log *wireLog

	// guarded by log.mu
	session api.WireSession
	head    []wireEntry
	middle  []wireEntry // what was marked, and gaps
	marked  int         // of those in middle
	tail    []wireEntry // a ring once it is full: next is the oldest
	next    int
	last    uint64 // the Seq of the last line
	size    int
	deep    bool // there was talk of mail
	secrets []string
	slot    int // in the file, from 1; 0: it is not there
}

// wireEntry is a line, or, with gap, those left out between two lines.
type wireEntry struct {
	seq   uint64
	at    time.Time
	who   api.Speaker
	state string
	text  string
	data  int // the data connection of FTP; 0: the control connection
	gap   *wireGap
}

// wireGap counts lines left out; seq, at and state of its entry are those of the last of them.
type wireGap struct {
	from        uint64
	lines       uint64
	first, last string // what the client said
}

// id is the WireSession's.
func (r *wireRecorder) id() uint64 {
	if r == nil {
		return 0
	}
	return r.session.ID
}

// note adds a remark of ours.
func (r *wireRecorder) note(text string) { r.take(api.Remark, "", text) }

// pop3 is for pop3.Options.Trace.
func (r *wireRecorder) pop3(e pop3.Exchange) { r.take(speaker(e.Sent), e.State.String(), e.Line) }

// smtp is for smtp.Options.Trace.
func (r *wireRecorder) smtp(e smtp.Exchange) { r.take(speaker(e.Sent), e.Stage, e.Line) }

// ftp is for ftp.Options.Trace.
func (r *wireRecorder) ftp(e ftp.Exchange) {
	if r == nil {
		return
	}
	who := speaker(e.Sent)
	if e.Note {
		who = api.Remark
	}
	now := r.log.clock.Now()
	r.log.mu.Lock()
	r.deep = r.deep || e.State.Phase != ftp.Opening && e.State.Phase != ftp.Closed
	r.add(wireEntry{at: now, who: who, state: ftpState(e.State), text: e.Line, data: e.Data})
	r.log.mu.Unlock()
}

// ftpState is what the server holds of a session, as api.WireLine has it.
func ftpState(s ftp.State) string {
	text := s.Phase.String()
	if s.Dir != "" {
		text += " in " + printable.Line(s.Dir)
	}
	if s.RenameFrom != "" {
		text += " from " + printable.Line(s.RenameFrom)
	}
	if s.Restart > 0 {
		text += " at " + strconv.FormatInt(s.Restart, 10)
	}
	if s.Transfer != "" {
		text += " " + printable.Line(s.Transfer)
	}
	return text
}

func speaker(client bool) api.Speaker {
	if client {
		return api.ClientSays
	}
	return api.ServerSays
}

func (r *wireRecorder) take(who api.Speaker, state, text string) {
	if r == nil {
		return
	}
	now := r.log.clock.Now()
	r.log.mu.Lock()
	r.add(wireEntry{at: now, who: who, state: state, text: text})
	r.log.mu.Unlock()
}

// add adds a line. Call it with log.mu held.
func (r *wireRecorder) add(e wireEntry) {
	w := r.log
	w.last++
	e.seq, r.last = w.last, w.last
	if !r.deep || e.who != api.ClientSays { // a server may repeat it whenever it likes; the client says it while it logs in
		e.text = r.mask(e.text) // before it is cut: half a password is one half too much
	}
	r.deep = r.deep || e.state == "TRANSACTION" || e.state == "MAIL"
	if len(e.text) > lineOctets {
		e.text = shorten(e.text)
	}
	r.size += len(e.text)
	switch {
	case len(r.head) < headLines:
		r.head = append(r.head, e)
	case len(r.tail) < tailLines:
		r.tail = append(r.tail, e)
	default:
		r.retire(r.tail[r.next])
		r.tail[r.next] = e
		if r.next++; r.next == tailLines {
			r.next = 0
		}
	}
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// retire takes a line that is no longer one of the last: it is kept if it is worth it, and else counted.
func (r *wireRecorder) retire(e wireEntry) {
	if r.marked < markedLines && (e.who == api.Remark || r.refuses(&e)) {
		r.marked++
		r.middle = append(r.middle, e)
		return
	}
	r.size -= len(e.text)
	n := len(r.middle)
	if n == 0 || r.middle[n-1].gap == nil {
		r.middle = append(r.middle, wireEntry{gap: &wireGap{from: e.seq}})
		n++
	}
	g := &r.middle[n-1]
	g.seq, g.at, g.state = e.seq, e.at, e.state
	g.gap.lines++
	if e.who == api.ClientSays {
		if g.gap.first == "" {
			g.gap.first = e.text
		}
		g.gap.last = e.text
	}
}

// lines appends to out what was said after a Seq, in order. Call it with log.mu held.
func (r *wireRecorder) lines(out []api.WireLine, after uint64) []api.WireLine {
	for _, part := range [...][]wireEntry{r.head, r.middle, r.tail[r.next:], r.tail[:r.next]} {
		for i := range part {
			if e := &part[i]; e.seq > after {
				out = append(out, r.line(e, after))
			}
		}
	}
	return out
}

func (r *wireRecorder) line(e *wireEntry, after uint64) api.WireLine {
	l := api.WireLine{Seq: e.seq, Session: r.session.ID, At: e.at.UTC(), Who: e.who, State: e.state, Text: e.text, Data: e.data}
	if g := e.gap; g != nil {
		n := min(g.lines, e.seq-max(g.from-1, after)) // who follows has seen the first of them
		l.Who, l.Text = api.Remark, "… "+strconv.FormatUint(n, 10)+" lines left out"
		if g.first != g.last {
			l.Text += ", from “" + g.first + "” to “" + g.last + "”"
		}
	}
	return l
}

func (r *wireRecorder) lastSeq() uint64 { return r.last }

// octets is the memory that a session takes, about.
func (r *wireRecorder) octets() int {
	const perLine = 96 // a wireEntry
	return r.size + perLine*(len(r.head)+len(r.middle)+len(r.tail))
}

// shorten cuts a long line, and says so. The copy lets the rest of it go.
func shorten(text string) string {
	n := lineOctets
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return strings.Clone(text[:n]) + "… (" + strconv.Itoa(len(text)-n) + " octets more)"
}

// conceal names what must not be in any line, whoever says it: a server that repeats the password in its refusal, for one. The
// protocols mask what the client says of it themselves.
func (r *wireRecorder) conceal(secrets ...string) {
	if r == nil {
		return
	}
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	for _, s := range secrets {
		if len(s) >= 4 { // less than that would be found in words that are none
			r.secrets = append(append(r.secrets, s, base64.StdEncoding.EncodeToString([]byte(s))), withinBase64(s)...)
		}
	}
}

// withinBase64 is how a secret looks inside the base64 of something longer, such as PLAIN's response: it depends on how many
// octets are before it. What the secret shares a character of with its neighbours is left out.
func withinBase64(s string) (forms []string) {
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:before] + s))
		text = text[(before*4+2)/3:]
		if (before+len(s))%3 != 0 {
			text = text[:len(text)-1]
		}
		forms = append(forms, text)
	}
	return forms
}

// masked is text without what is concealed.
func (r *wireRecorder) masked(text string) string {
	if r == nil {
		return text
	}
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return r.mask(text)
}

func (r *wireRecorder) mask(text string) string {
	for _, s := range r.secrets {
		if strings.Contains(text, s) {
			text = strings.ReplaceAll(text, s, "****")
		}
	}
	return text
}

// tls notes how the connection is sealed from here on.
func (r *wireRecorder) tls(s tls.ConnectionState) {
	if r == nil {
		return
	}
	sealed := tls.VersionName(s.Version) + ", " + tls.CipherSuiteName(s.CipherSuite)
	text := "Sealed by " + sealed
	if len(s.PeerCertificates) > 0 {
		c := s.PeerCertificates[0]
		text += "; certificate for " + named(c.Subject.String()) + " by " + named(c.Issuer.String()) +
			", until " + c.NotAfter.UTC().Format(time.DateOnly) + ", SHA-256 " + trust.Fingerprint(c.Raw)
	}
	r.log.mu.Lock()
	r.session.TLS = sealed
	r.log.mu.Unlock()
	r.note(text)
}

func named(s string) string {
	if s == "" {
		return "nobody"
	}
	return printable.Short(s, lineOctets)
}

// closedAfter begins the remark at the end of a connection.
const closedAfter = "Closed after "

// end closes the transcript: the connection is gone, for a reason if there is one. The reason may come after the end, once. A
// session that failed is written down, but for one that was given up by ourselves.
func (r *wireRecorder) end(p *api.Problem) {
	if r == nil {
		return
	}
	w, now := r.log, r.log.clock.Now()
	failed := p != nil && p.Code != api.CodeCanceled
	w.mu.Lock()
	began, over := r.session.Began, !r.session.Ended.IsZero()
	if over && (!failed || r.session.Problem != nil) {
		w.mu.Unlock()
		return
	}
	if failed {
		p = r.link(p)
	}
	if !over {
		r.session.Ended = now.UTC()
		r.add(wireEntry{at: now, who: api.Remark, text: closedAfter + now.Sub(began).Round(10*time.Millisecond).String()})
	}
	if failed {
		own := *p
		own.Technical, own.Detail = r.mask(own.Technical), r.mask(own.Detail)
		r.session.Problem = &own
		r.add(wireEntry{at: now, who: api.Remark, text: "Failed: " + own.Error()})
	}
	w.mu.Unlock()
	if failed {
		w.keep(r)
	}
	w.mu.Lock()
	w.prune()
	w.mu.Unlock()
}

// keep writes down a session that failed. One that came to nothing takes the place of the last that came to nothing in the
// same way: a server that is away all night does not take the place of what happened in the evening.
func (w *wireLog) keep(r *wireRecorder) {
	w.load()
	w.mu.Lock()
	if !r.deep && r.slot == 0 {
		for i, o := range w.sessions {
			s := &o.session
			if o != r && !o.deep && s.Problem != nil && s.Protocol == r.session.Protocol && s.Server == r.session.Server && s.Problem.Code == r.session.Problem.Code {
				r.slot = o.slot
				w.sessions = append(w.sessions[:i:i], w.sessions[i+1:]...)
				break
			}
		}
	}
	kept := keptSession{Session: r.session, Deep: r.deep, Lines: r.lines(nil, 0)}
	w.mu.Unlock()
	if !w.durable() {
		return // an account that is none yet
	}
	slot, err := w.file.write(r.slot, kept)
	if err != nil {
		w.logf("keeping a transcript: %v", err)
		return
	}
	w.mu.Lock()
	r.slot = slot
	w.mu.Unlock()
}
