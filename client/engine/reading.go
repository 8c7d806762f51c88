package engine

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/sanitize"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
)

// opened is a message made ready for reading.
type opened struct {
	id      store.ID
	sum     store.Sum // of the content it was made from
	message *mail.Message
	html    sanitize.Result
	shown   map[int]bool // parts that the HTML shows itself
	size    int
	junk    string // why the server calls it so
}

// Message opens a message for reading.
func (e *Engine) Message(_ context.Context, r api.MessageRef) (api.Message, error) {
	a, m, err := e.message(r)
	if err != nil {
		return api.Message{}, err
	}
	if isDraft(&m) {
		d, err := a.draft(m.ID)
		if err != nil {
			return api.Message{}, problemOf(err)
		}
		return a.draftMessage(&m, d), nil
	}
	o, err := a.open(&m)
	if err != nil {
		return api.Message{}, problemOf(err)
	}
	s := &m.Summary
	out := api.Message{
		Row: a.row(&m), Cc: toAddresses(s.Cc), Bcc: toAddresses(s.Bcc), ReplyTo: toAddresses(s.ReplyTo),
		MessageID: s.MessageID, References: s.References,
		Text: o.message.Text, HTML: o.html.HTML, Remote: o.html.Remote, Note: o.message.Note,
	}
	if m.Folder == junk {
		out.Junk = o.junk
	}
	if m.Delivery != nil {
		out.Recipients = recipientsOf(&m, out.State)
		if note := decodeFate(m.Delivery.Problem).note; out.Note == "" {
			out.Note = note
		}
	}
	if out.Text == "" {
		out.Text = mail.PlainText(o.message.HTML) // to quote in an answer, and to read where HTML cannot be shown
	}
	out.Text = clip(out.Text)
	for i := range o.message.Parts {
		if !o.shown[i] && !m.Partial() { // of a beginning, nobody knows which part is whole
			out.Parts = append(out.Parts, partOf(i, &o.message.Parts[i]))
		}
	}
	return out, nil
}

// shownText bounds the text that goes to a page, which draws half of it at most and quotes less. A text of 50 MB would
// be there several times over, on its way and in the page.
const shownText = 4 << 20

func clip(text string) string {
	if len(text) <= shownText {
		return text
	}
	return strings.ToValidUTF8(text[:shownText], "") + "\n\n[… The rest is in the source of the message.]\n"
}

// draftMessage is a draft as if it were a message, for who only looks at it.
func (a *account) draftMessage(m *store.Entry, d api.Draft) api.Message {
	out := api.Message{Row: a.row(m), Cc: d.Cc, Bcc: d.Bcc, References: d.References, Text: d.Text}
	for i, at := range d.Attachments {
		out.Parts = append(out.Parts, api.Part{Index: i, Name: partName(at.Name), Type: at.Type, Size: at.Size})
	}
	return out
}

// Source answers a message's octets.
func (e *Engine) Source(_ context.Context, r api.MessageRef) ([]byte, error) {
	a, m, err := e.message(r)
	if err != nil {
		return nil, err
	}
	content, err := a.box.Content(m.ID)
	return content, asError(problemOf(storing(err)))
}

// Attachment answers one part, decoded.
func (e *Engine) Attachment(_ context.Context, r api.PartRef) (api.Part, []byte, error) {
	a, m, err := e.message(r.MessageRef)
	if err != nil {
		return api.Part{}, nil, err
	}
	none := &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("message %d has no part %d", r.ID, r.Index)}
	if isDraft(&m) {
		d, err := a.draft(m.ID)
		if err != nil {
			return api.Part{}, nil, problemOf(err)
		}
		if r.Index < 0 || r.Index >= len(d.Attachments) {
			return api.Part{}, nil, none
		}
		at := d.Attachments[r.Index]
		data, err := a.box.Blob(string(at.Blob))
		return api.Part{Index: r.Index, Name: partName(at.Name), Type: at.Type, Size: int64(len(data))}, data, asError(problemOf(storing(err)))
	}
	if m.Partial() {
		return api.Part{}, nil, errPartial
	}
	o, err := a.open(&m)
	if err != nil {
		return api.Part{}, nil, problemOf(err)
	}
	if r.Index < 0 || r.Index >= len(o.message.Parts) {
		return api.Part{}, nil, none
	}
	p := &o.message.Parts[r.Index]
	return partOf(r.Index, p), bytes.Clone(p.Data), nil // the page takes the bytes away; the next one wants them too
}

// errPartial answers who wants a part of a message of which only the beginning is here.
var errPartial = &api.Problem{Code: api.CodeBadRequest, Detail: "Only the beginning of this message is here: fetch the rest first"}

func partOf(i int, p *mail.Part) api.Part {
	return api.Part{Index: i, Name: partName(p.Name), Type: p.Type, Size: int64(len(p.Data))}
}

// partName keeps the promise of api.Part whoever named the file.
func partName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return -1
		}
		return r
	}, name[strings.LastIndexAny(name, `/\`)+1:])
	if strings.Trim(name, ". ") == "" {
		return "attachment"
	}
	return name
}

// open parses a message and makes its HTML safe, or answers what it made the last time.
func (a *account) open(m *store.Entry) (*opened, error) {
	if o := a.opened.get(m.ID, m.Sum); o != nil {
		return o, nil
	}
	content, err := a.box.Content(m.ID)
	if err != nil {
		return nil, storing(err)
	}
	o := &opened{id: m.ID, sum: m.Sum, message: a.e.Mail.Parse(content), junk: junkReason(content, ""), shown: make(map[int]bool), size: len(content)}
	if o.message.HTML != "" {
		o.html = sanitize.HTML(o.message.HTML, sanitize.Options{CID: o.inline})
	}
	for _, p := range o.message.Parts {
		o.size += len(p.Data)
	}
	o.size += len(o.message.Text) + len(o.message.HTML) + len(o.html.HTML)
	a.opened.put(o)
	return o, nil
}

// inline answers the part that a cid: URL names. See RFC 2392.
func (o *opened) inline(cid string) (string, []byte, bool) {
	i := slices.IndexFunc(o.message.Parts, func(p mail.Part) bool { return p.ContentID == cid && cid != "" })
	if i < 0 {
		return "", nil, false
	}
	o.shown[i] = o.message.Parts[i].Inline
	return o.message.Parts[i].Type, o.message.Parts[i].Data, true
}

// openedCache keeps the messages read last: a person goes back and forth, and each attachment is a call of its own.
type openedCache struct {
	mu   sync.Mutex
	list []*opened // the last used first
}

const (
	openedMessages = 16
	openedOctets   = 32 << 20 // but the last one always
)

func newOpenedCache() *openedCache { return &openedCache{} }

func (c *openedCache) get(id store.ID, sum store.Sum) *opened {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.list, func(o *opened) bool { return o.id == id && o.sum == sum })
	if i < 0 {
		return nil
	}
	o := c.list[i]
	c.list = slices.Insert(slices.Delete(c.list, i, i+1), 0, o)
	return o
}

func (c *openedCache) put(o *opened) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(old *opened) bool { return old.id == o.id })
	c.list = slices.Insert(c.list, 0, o)
	size := 0
	for i, o := range c.list {
		if size += o.size; i > 0 && (i >= openedMessages || size > openedOctets) {
			clear(c.list[i:])
			c.list = c.list[:i]
			return
		}
	}
}
