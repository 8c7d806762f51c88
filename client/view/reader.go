package view

import (
	"context"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Reader is the message being read.
type Reader struct {
	ID      api.MessageID
	Message *api.Message // nil while it loads
	Loading bool
	Slow    bool // Loading has taken over 100 ms
	Problem *api.Problem

	Body       []Block // the plain text, in paragraphs and quotations
	Recipients bool    // all recipients are shown, not their names alone
	Source     string  // the message as it came, when asked for
	SourceOpen bool
	Saving     map[int]bool // attachments being fetched

	app  *App
	turn int
}

func (r *Reader) close() {
	*r = Reader{app: r.app, turn: r.turn + 1}
}

// open shows a message. What the list knows of it is shown at once.
func (r *Reader) open(id api.MessageID) {
	r.app.List.SetCursor(id)
	r.app.Toasts.forget(id)
	if r.ID == id && (r.Message != nil || r.Loading) {
		return
	}
	*r = Reader{app: r.app, turn: r.turn, ID: id}
	r.load()
}

// Retry asks for the message once more.
func (r *Reader) Retry() { r.load() }

func (r *Reader) load() {
	r.turn++
	turn := r.turn
	r.Loading, r.Problem = true, nil
	ref := api.MessageRef{Account: r.app.Account, ID: r.ID}
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
		if mk := r.app.List.marks[m.ID]; mk != nil {
			mk.apply(&m.Row)
		}
		m.Date = r.app.platform.Local(m.Date)
		r.Message = &m
		r.Body = Blocks(m.Text)
		if m.Unread {
			r.app.MarkUnread([]api.MessageID{m.ID}, false)
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
	if i := r.app.List.Find(r.ID); i >= 0 {
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
	turn, ref := r.turn, api.MessageRef{Account: r.app.Account, ID: r.ID}
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
	turn, ref := r.turn, api.PartRef{MessageRef: api.MessageRef{Account: r.app.Account, ID: r.ID}, Index: index}
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
