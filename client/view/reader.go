package view

import (
	"context"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Reader is the message being read.
type Reader struct {
	api.MessageRef
	Message *api.Message // nil while it loads
	Loading bool
	Slow    bool // Loading has taken over 100 ms
	Problem *api.Problem

	Body       []Block // the plain text, in paragraphs and quotations
	Recipients bool    // all recipients are shown, not their names alone
	Source     string  // the message as it came, when asked for
	SourceOpen bool
	Saving     map[int]bool // attachments being fetched

	Here     int64        // octets of a message of which only the beginning is here; 0 until that is known
	Fetching bool         // the rest is being fetched
	Rest     *api.Problem // why it could not be
	Warned   bool         // asked whether to send again what may have been sent

	app  *App
	turn int
}

func (r *Reader) close() {
	*r = Reader{app: r.app, turn: r.turn + 1}
}

// open shows a message. What the list knows of it is shown at once.
func (r *Reader) open(m api.MessageRef) {
	r.app.List.SetCursor(m)
	r.app.Toasts.forget(m)
	if r.MessageRef == m && (r.Message != nil || r.Loading) {
		return
	}
	*r = Reader{app: r.app, turn: r.turn, MessageRef: m}
	r.load()
}

// Retry asks for the message once more.
func (r *Reader) Retry() { r.load() }

func (r *Reader) load() {
	r.turn++
	turn := r.turn
	r.Loading, r.Problem = true, nil
	ref := r.MessageRef
	var m api.Message
	r.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		m, err = svc.Message(ctx, ref)
		return err
	}, func(p *api.Problem) {
		if turn != r.turn {
			return
		}
		r.Loading, r.Slow = false, false
		if p != nil {
			r.Problem = p
			return
		}
		m.Account = ref.Account
		if mk := r.app.List.marks[ref]; mk != nil {
			mk.apply(&m.Row)
		}
		m.Date = r.app.platform.Local(m.Date)
		r.Message = &m
		r.Body = Blocks(m.Text)
		if m.Unread {
			r.app.MarkUnread([]api.MessageRef{ref}, false)
		}
		if m.Partial {
			r.fetchSource(func(src []byte) { r.Here = int64(len(src)) })
		}
	})
	sched := r.app.sched // r itself is read with the lock held alone
	time.AfterFunc(100*time.Millisecond, func() {
		sched.Update(func() { r.Slow = r.Slow || r.Loading && turn == r.turn })
	})
}

// Row is what is known of the message, from the message itself or from the list while it loads.
func (r *Reader) Row() (api.Row, bool) {
	if r.Message != nil {
		return r.Message.Row, true
	}
	if i := r.app.List.Find(r.MessageRef); i >= 0 {
		return r.app.List.rows[i], true
	}
	return api.Row{}, false
}

// edit changes the flags of the message shown, in a copy: a frame being drawn may hold the old one.
func (r *Reader) edit(change func(*api.Row)) {
	m := *r.Message
	change(&m.Row)
	r.Message = &m
}

// ToggleRecipients shows all recipients with their addresses, or their names alone.
func (r *Reader) ToggleRecipients() { r.Recipients = !r.Recipients }

// ShowSource shows the message as it came, or hides it again.
func (r *Reader) ShowSource() {
	r.app.Menu.Close()
	if r.SourceOpen {
		r.SourceOpen = false
		return
	}
	r.fetchSource(func(src []byte) {
		r.Source, r.SourceOpen = strings.ToValidUTF8(string(src), "\uFFFD"), true
	})
}

// SaveSource saves the message as a file, as it came.
func (r *Reader) SaveSource() {
	r.app.Menu.Close()
	name := "message"
	if row, ok := r.Row(); ok && row.Subject != "" {
		name = FileName(row.Subject)
	}
	r.fetchSource(func(src []byte) { r.app.platform.SaveFile(name+".eml", "message/rfc822", src) })
}

func (r *Reader) fetchSource(use func([]byte)) {
	turn, ref := r.turn, r.MessageRef
	var src []byte
	r.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		src, err = svc.Source(ctx, ref)
		return err
	}, func(p *api.Problem) {
		switch {
		case turn != r.turn:
		case p != nil:
			r.app.Toasts.Trouble("The source could not be read", p)
		default:
			use(src)
		}
	})
}

// SaveAttachment saves one attachment as a file.
func (r *Reader) SaveAttachment(index int) {
	if r.Message == nil || r.Saving[index] {
		return
	}
	turn, ref := r.turn, api.PartRef{MessageRef: r.MessageRef, Index: index}
	if r.Saving == nil {
		r.Saving = map[int]bool{}
	}
	r.Saving[index] = true
	var part api.Part
	var data []byte
	r.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		part, data, err = svc.Attachment(ctx, ref)
		return err
	}, func(p *api.Problem) {
		if turn == r.turn {
			delete(r.Saving, index)
		}
		if p != nil {
			r.app.Toasts.Trouble("The attachment could not be saved", p)
			return
		}
		r.app.platform.SaveFile(part.Name, part.Type, data)
	})
}

// PartialWords say how much of a message is here.
func (r *Reader) PartialWords() string {
	of := Size(r.Message.Size)
	if r.Here == 0 {
		return "Only the beginning of " + of + " is here."
	}
	here := Size(r.Here)
	if n, unit, _ := strings.Cut(here, " "); strings.HasSuffix(of, unit) {
		here = n
	}
	return "Only the beginning is here: " + here + " of " + of + "."
}

// FetchRest fetches the whole of a message of which only the beginning is here.
func (r *Reader) FetchRest() {
	if r.Fetching {
		return
	}
	r.Fetching, r.Rest = true, nil
	ref := r.MessageRef
	r.app.ask(func(ctx context.Context, svc api.Service) error { return svc.FetchRest(ctx, ref) }, func(p *api.Problem) {
		if p == nil {
			r.app.List.edit(ref, func(row *api.Row) { row.Partial = false })
		}
		if r.MessageRef != ref {
			return
		}
		r.Fetching, r.Rest = false, p
		if p != nil {
			r.app.Voice.Cry("The rest could not be fetched. " + WordsFor(p).Title)
			return
		}
		r.app.Voice.Say("The whole message is here")
		r.load()
	})
}

// FileName makes a file's name of a subject: no characters that a file system minds, at most 80 of them.
func FileName(s string) string {
	var b strings.Builder
	n := 0
	for _, c := range s {
		if n == 80 {
			break
		}
		if c < ' ' || c == 0x7f || strings.ContainsRune(`/\:*?"<>|`, c) {
			c = ' '
		}
		b.WriteRune(c)
		n++
	}
	out := strings.Trim(strings.Join(strings.Fields(b.String()), " "), ". ")
	if out == "" {
		return "message"
	}
	return out
}
