package view

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Wire is the wire view: what was said to an account's mail servers, as it is being said.
type Wire struct {
	Account  api.AccountID
	Session  uint64            // the connection that is shown alone, 0: all
	Sessions []api.WireSession // the newest first
	Lines    []api.WireLine    // what is kept here, the oldest first
	Loaded   bool
	Paused   bool
	Problem  *api.Problem
	Anchor   uint64 // the line to be brought to where it can be seen, once: the first before earlier ones were drawn, or Marked
	Marked   uint64 // the line that the failure is about, 0: none

	app    *App
	last   uint64 // Seq of the newest line asked for
	about  uint64 // the line that whoever opened it wants to see
	placed bool   // it was looked for
	from   int    // the first line drawn while Follow is not set
	follow bool   // the newest lines are drawn
	turn   int
	stop   context.CancelFunc
}

const (
	// linesKept are kept in the page: what a screen reader or a teacher goes back through, some 300 KB.
	linesKept = 2000
	// linesDrawn at once: each line is some ten nodes, and 300 are compared in a frame's time.
	linesDrawn = 300
	// wirePause is between an answer and the next question: a fast fetch says thousands of lines a second.
	wirePause = 200 * time.Millisecond
)

// OpenWire shows what was said to an account's servers: in one connection, or with 0 in all.
func (a *App) OpenWire(acc api.AccountID, session uint64) {
	a.Go(Route{Page: PageWire, Account: acc, Session: session})
}

// Files says that what is shown was said to a file server: over one connection for control and others for data.
func (w *Wire) Files() bool { return w.app.Site(w.Account).ID != "" }

// Whose is the account or the file server that the transcript is of.
func (w *Wire) Whose() string {
	if w.Files() {
		return SiteLabel(w.app.Site(w.Account))
	}
	return Label(w.app.AccountOf(w.Account))
}

// SplitState answers the first word of what a file server holds of a session, and as held the rest: where one is, what is being renamed,
// where the next transfer begins, and what is under way.
func SplitState(state string) (phase, held string) {
	phase, held, _ = strings.Cut(state, " ")
	return phase, held
}

// OpenFault shows what was said where something went wrong.
func (a *App) OpenFault(acc api.AccountID, p *api.Problem) {
	a.Go(Route{Page: PageWire, Account: acc, Session: p.Session, Line: p.Line})
}

// Said says that there is something to show of why signing in went wrong: it was to an account that is here.
func (s *Session) Said() bool {
	return s.Problem != nil && s.Problem.Session != 0 && s.accountHere() != ""
}

// ShowSaid leaves the form for what was said.
func (s *Session) ShowSaid() {
	acc, p := s.accountHere(), s.Problem
	s.Cancel()
	s.app.OpenFault(acc, p)
}

func (s *Session) accountHere() api.AccountID {
	if s.Adding {
		for _, acc := range s.app.Accounts {
			if strings.EqualFold(acc.Email, s.Email) {
				return acc.ID
			}
		}
	}
	return ""
}

// LeaveWire goes back to the mail.
func (a *App) LeaveWire() {
	if site := a.Route.Site; site != "" {
		a.leave(Route{Page: PageFiles, Site: site})
		return
	}
	a.leave(a.List.place)
	a.List.focusCursor()
}

// open shows an account's transcript, at a line or at the end.
func (w *Wire) open(acc api.AccountID, session, line uint64) {
	if w.stop != nil && w.Account == acc && w.Session == session && w.about == line {
		return
	}
	sessions := w.Sessions
	if w.Account != acc {
		sessions = nil
	}
	w.close()
	w.Account, w.Session, w.about, w.Sessions, w.follow = acc, session, line, sessions, true
	w.ask()
	w.app.platform.Focus(`[data-testid="wire-lines"]`)
}

// close ends the listening.
func (w *Wire) close() {
	if w.stop != nil {
		w.stop()
	}
	*w = Wire{app: w.app, turn: w.turn + 1}
}

// again asks a new engine.
func (w *Wire) again() {
	if w.stop != nil {
		w.stop()
		w.turn++
		w.ask()
	}
}

// ask asks for what has been said since, and when all that is known is here, waits for more.
func (w *Wire) ask() {
	turn := w.turn
	q := api.WireQuery{Account: w.Account, After: w.last, Session: w.Session, Limit: api.MaxWireLimit, Wait: w.Loaded}
	ctx, stop := context.WithCancel(w.app.ctx)
	w.stop = stop
	var page api.WirePage
	w.app.ask(func(_ context.Context, svc api.Service) (err error) {
		defer stop()
		page, err = svc.Wire(ctx, q)
		return err
	}, func(p *api.Problem) {
		if turn != w.turn || w.Paused {
			return
		}
		if w.Problem = p; p != nil {
			w.Loaded = true
			return
		}
		w.take(page)
		w.Loaded = w.Loaded || len(page.Lines) < api.MaxWireLimit
		w.mark()
		time.AfterFunc(wirePause, func() {
			w.app.sched.Update(func() {
				if turn == w.turn && !w.Paused {
					w.ask()
				}
			})
		})
	})
}

func (w *Wire) take(page api.WirePage) {
	w.Sessions = slices.Clone(page.Sessions)
	slices.Reverse(w.Sessions)
	for _, x := range page.Lines {
		x.At = w.app.platform.Local(x.At)
		w.Lines = append(w.Lines, x)
		w.last = max(w.last, x.Seq)
	}
	if n := len(w.Lines) - linesKept; n > 0 {
		w.Lines = slices.Delete(w.Lines, 0, n)
		w.from = max(w.from-n, 0)
	}
}

// fault is the line that the failure is about: the one that it was opened for, or of a connection that is shown alone and
// failed the one that ended it.
func (w *Wire) fault() uint64 {
	if p := w.SessionOf(w.Session).Problem; w.about == 0 && p != nil {
		return p.Line
	}
	return w.about
}

// mark marks the line that the failure is about, and shows it when the view is opened: later, who reads is not led away. If
// that line is not kept it is the last one before it.
func (w *Wire) mark() {
	fault, marked := w.fault(), -1
	for i := range w.Lines {
		if fault == 0 || w.Lines[i].Seq > fault {
			break
		}
		marked = i
	}
	if marked < 0 || w.last < fault && !w.Loaded {
		w.placed = w.placed || w.Loaded
		return
	}
	x := w.Lines[marked]
	w.Marked = x.Seq
	if !w.placed {
		w.placed = true
		w.from, w.follow, w.Anchor = max(0, min(marked-linesDrawn/2, len(w.Lines)-linesDrawn)), false, x.Seq
		w.app.Voice.Say(Says(x.Who) + ": " + x.Text)
	}
}

// Retry asks once more after a problem.
func (w *Wire) Retry() {
	w.Problem = nil
	w.ask()
}

// Pause stops the transcript, or lets it go on.
func (w *Wire) Pause() {
	w.Paused = !w.Paused
	w.turn++
	if w.stop != nil {
		w.stop()
	}
	if !w.Paused {
		w.follow = true
		w.ask()
	}
}

// Drawn are the lines to draw, and how many are before and after them.
func (w *Wire) Drawn() (lines []api.WireLine, before, after int) {
	n := len(w.Lines)
	from := w.from
	if w.follow || from > n-linesDrawn {
		from = n - linesDrawn
	}
	from = max(from, 0)
	to := min(from+linesDrawn, n)
	return w.Lines[from:to], from, n - to
}

// Follow draws the newest lines as they come, or lets those drawn stay.
func (w *Wire) Follow(on bool) {
	if w.follow == on {
		return
	}
	_, before, after := w.Drawn()
	if on && after > 0 { // the end of what is drawn is not the end
		return
	}
	w.from, w.follow = before, on
}

// Following says that the newest lines are drawn as they come.
func (w *Wire) Following() bool { return w.follow }

// Earlier draws the lines before; Newest the last ones, and follows them.
func (w *Wire) Earlier() {
	lines, before, _ := w.Drawn()
	if len(lines) > 0 {
		w.Anchor = lines[0].Seq
	}
	w.from, w.follow = max(before-linesDrawn/2, 0), false
}

// Newest draws the last lines.
func (w *Wire) Newest() { w.follow = true }

// SessionOf is a connection, the zero WireSession when it is not known.
func (w *Wire) SessionOf(id uint64) api.WireSession {
	for _, s := range w.Sessions {
		if s.ID == id {
			return s
		}
	}
	return api.WireSession{}
}

// Outcome says how a connection ended, in a few words.
func (w *Wire) Outcome(s api.WireSession) string {
	switch {
	case s.Problem != nil:
		if s.Protocol == api.FTP {
			return FileWords(s.Problem).Title
		}
		return WordsFor(s.Problem).Title
	case s.Ended.IsZero():
		return "Open"
	}
	return "Ended well"
}

// Speaks is a protocol's name.
func Speaks(p api.Protocol) string { return strings.ToUpper(string(p)) }

// Says is who said a line, in a word.
func Says(who api.Speaker) string {
	switch who {
	case api.ClientSays:
		return "Client"
	case api.ServerSays:
		return "Server"
	}
	return "Note"
}

// Stamp is a time to the millisecond.
func Stamp(t time.Time) string { return t.Format("15:04:05.000") }

// Save saves what is here as a text file.
func (w *Wire) Save() {
	whose, servers := w.app.AccountOf(w.Account).Email, "its mail servers"
	if w.Files() {
		whose, servers = w.Whose(), "its file server"
	}
	var b strings.Builder
	b.WriteString("What " + whose + " and " + servers + " said. C: this browser, S: the server, #: a note. Secrets are masked, mail is left out.\n")
	session := uint64(0)
	for _, x := range w.Lines {
		if x.Session != session {
			session = x.Session
			s := w.SessionOf(session)
			b.WriteString("\n# " + w.Heading(s) + "\n")
		}
		mark := "#"
		switch x.Who {
		case api.ClientSays:
			mark = "C:"
		case api.ServerSays:
			mark = "S:"
		}
		b.WriteString(Stamp(x.At) + " " + mark + " ")
		if x.Data != 0 {
			b.WriteString("(data " + strconv.Itoa(x.Data) + ") ")
		}
		b.WriteString(x.Text)
		if x.State != "" {
			b.WriteString("   [" + x.State + "]")
		}
		b.WriteByte('\n')
	}
	w.app.platform.SaveFile("wire "+FileName(whose)+".txt", "text/plain", []byte(b.String()))
}

// When says when a connection began, and by which version of TLS it is protected.
func (w *Wire) When(s api.WireSession) string {
	s.TLS, _, _ = strings.Cut(s.TLS, ",")
	return w.when(s)
}

func (w *Wire) when(s api.WireSession) string {
	at, now := w.app.platform.Local(s.Began), w.app.Now()
	when := at.Format("15:04:05")
	if !sameDay(at, now) {
		when = ListDate(at, now) + " " + when
	}
	switch {
	case s.TLS != "":
		return when + ", " + s.TLS
	case s.Problem == nil:
		return when + ", no encryption"
	}
	return when
}

// Heading names a connection in a line.
func (w *Wire) Heading(s api.WireSession) string {
	return Speaks(s.Protocol) + " " + s.Server + ", " + w.when(s) + ", " + w.Outcome(s)
}
