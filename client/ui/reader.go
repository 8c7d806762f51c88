package ui

import (
	"strings"
	"time"

	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Reader is the reading pane.
type Reader struct {
	App   *view.App
	Frame MessageFrame

	row api.Row
	all bool // everybody can be answered; while a message loads, what was so of the last one
}

// Compute runs before each build.
func (c *Reader) Compute() {
	c.row, _ = c.App.Reader.Row()
	if c.loaded() {
		c.all = c.App.CanReplyAll()
	}
}

func (c *Reader) shown() bool { return c.App.Reader.ID != 0 }

func (c *Reader) loaded() bool { return c.App.Reader.Message != nil }

// lost says that nothing is known of the message but that it is not here.
func (c *Reader) lost() bool {
	p := c.App.Reader.Problem
	return p != nil && p.Code == api.CodeNoSuchMessage && c.row.ID == 0
}

func (c *Reader) hook() any {
	if !c.shown() {
		return nil
	}
	return "message-view"
}

func (c *Reader) refs() []api.MessageRef { return []api.MessageRef{c.App.Reader.MessageRef} }

func (c *Reader) outgoing() bool { return c.row.Folder == api.Outbox }

func (c *Reader) inTrash() bool { return c.row.Folder == api.Trash }

func (c *Reader) inJunk() bool { return c.row.Folder == api.Junk }

func (c *Reader) words() view.StateWords { return c.App.StateWordsFor(c.row) }

func (c *Reader) technical() string { return view.WordsFor(c.row.Problem).Technical }

// certificate is the one for which the message was not sent.
func (c *Reader) certificate() *api.Certificate {
	if c.row.Problem == nil {
		return nil
	}
	return c.row.Problem.Certificate
}

func (c *Reader) canRetry() bool {
	switch c.row.State {
	case api.StateDeferred, api.StateFailed, api.StateUnknown:
		return true
	}
	return false
}

func (c *Reader) warned() bool { return c.App.Reader.Warned && c.row.State == api.StateUnknown }

// session is the connection in which the message was tried last.
func (c *Reader) session() uint64 {
	if c.row.Session == 0 && c.row.Problem != nil {
		return c.row.Problem.Session
	}
	return c.row.Session
}

func (c *Reader) showSaid() {
	acc := c.App.Reader.Account
	if p := c.row.Problem; p != nil && p.Session == c.session() {
		c.App.OpenFault(acc, p)
	} else {
		c.App.OpenWire(acc, c.session())
	}
}

// fate is what became of a message at one of its recipients.
type fate struct {
	api.Recipient
	words     view.StateWords
	why, said string // what it means, and the server's words
}

// fates are told of a message on its way, and of one that not everybody got.
func (c *Reader) fates() []fate {
	if !c.loaded() {
		return nil
	}
	var out []fate
	news := c.outgoing() && len(c.App.Reader.Message.Recipients) > 1
	for _, x := range c.App.Reader.Message.Recipients {
		f := fate{Recipient: x, words: c.App.StateWordsFor(api.Row{State: x.State, Problem: x.Problem, RetryAt: c.row.RetryAt})}
		switch x.State {
		case api.StateSent:
			f.words.Short = "Accepted"
		case api.StateFailed:
			f.words.Short = "Refused"
		}
		if p := x.Problem; p != nil {
			if f.why, f.said = p.Means, p.Technical; f.why == "" {
				f.why = f.words.Means
			} else if f.said == "" {
				f.said = p.Detail
			}
		}
		news = news || x.State != c.row.State
		out = append(out, f)
	}
	if !news {
		return nil
	}
	return out
}

func (c *Reader) rest() string { return trouble(view.Toast{Problem: c.App.Reader.Rest}) }

func (c *Reader) restText() string {
	if c.App.Reader.Fetching {
		return "Fetching…"
	}
	return "Fetch the rest"
}

func (c *Reader) canEdit() bool { return c.row.State != api.StateSending }

func (c *Reader) retryText() string {
	switch c.row.State {
	case api.StateDeferred:
		return "Send now"
	case api.StateUnknown:
		return "Send again…"
	}
	return "Send again"
}

// retry sends the message again; what may have been sent already only after a warning.
func (c *Reader) retry() {
	if c.row.State == api.StateUnknown && !c.App.Reader.Warned {
		c.App.Reader.Warned = true
		return
	}
	c.App.RetrySend(c.App.Reader.MessageRef)
}

func (c *Reader) deleteText() string {
	if c.inTrash() {
		return "Delete for good"
	}
	return "Delete"
}

func (c *Reader) flagIcon() string {
	if c.row.Flagged {
		return "flag-on"
	}
	return "flag"
}

func (c *Reader) sourceText() string {
	if c.App.Reader.SourceOpen {
		return "Hide the source"
	}
	return "Show source"
}

func (c *Reader) subject() string {
	if c.row.Subject == "" {
		return view.NoSubject
	}
	return c.row.Subject
}

func (c *Reader) initials() string { return view.Initials(c.row.From) }

// addr is the sender's address, when the name shown is not the address itself.
func (c *Reader) addr() string {
	if view.SenderName(c.row.From) == c.row.From.Addr {
		return ""
	}
	return c.row.From.Addr
}

func (c *Reader) disguise() string {
	return "The sender calls itself “" + c.row.From.Name + "”, which is not its address."
}

func (c *Reader) date() string { return view.ReaderDate(c.row.Date, c.App.Now()) }

func (c *Reader) stamp() any {
	if c.row.Date.IsZero() {
		return nil
	}
	return c.row.Date.Format(time.RFC3339)
}

// toLine is the recipients in a line: "to me, Carol and 3 others".
func (c *Reader) toLine() string {
	list := c.row.To
	if m := c.App.Reader.Message; m != nil {
		list = append(append([]api.Address{}, m.To...), m.Cc...)
	}
	if len(list) == 0 {
		return "to undisclosed recipients"
	}
	short := make([]api.Address, len(list))
	for i, x := range list {
		short[i] = x
		if c.App.Reader.Mine(x.Addr) {
			short[i] = api.Address{Name: "me"}
		}
	}
	return "to " + view.Names(short, 3)
}

type headLine struct{ name, value string }

func (c *Reader) recipients() []headLine {
	m := c.App.Reader.Message
	var out []headLine
	add := func(name, value string) {
		if value != "" {
			out = append(out, headLine{name, value})
		}
	}
	add("From", view.FormatAddress(m.From))
	add("Reply to", view.FormatList(m.ReplyTo))
	add("To", view.FormatList(m.To))
	add("Cc", view.FormatList(m.Cc))
	add("Bcc", view.FormatList(m.Bcc))
	add("Date", view.FullDate(m.Date))
	add("Size", view.Size(m.Size))
	return out
}

func (c *Reader) remote() string {
	n := c.App.Reader.Message.Remote
	if n == 1 {
		return "One image from the network was left out: loading it would tell the sender that you read this."
	}
	return view.Number(n) + " images from the network were left out: loading them would tell the sender that you read this."
}

func (c *Reader) hasHTML() bool {
	return c.loaded() && c.App.Reader.Message.HTML != "" && c.Frame != nil
}

// html is the message if its HTML is shown: a list of one, keyed by the message, so that each has a frame of its own.
func (c *Reader) html() []*api.Message {
	if !c.hasHTML() {
		return nil
	}
	return []*api.Message{c.App.Reader.Message}
}

func fileIcon(mediaType string) string {
	major, minor, _ := strings.Cut(strings.ToLower(mediaType), "/")
	switch {
	case major == "image":
		return "image"
	case major == "audio", major == "video":
		return "file-sound"
	case major == "text", minor == "pdf", strings.Contains(minor, "word"), strings.Contains(minor, "document"):
		return "file-text"
	case strings.Contains(minor, "zip"), strings.Contains(minor, "tar"), strings.Contains(minor, "compressed"):
		return "file-zip"
	}
	return "file"
}

// stem and extension cut a file's name, so that the extension stays to be seen when the name is too long.
func stem(name string) string { return name[:len(name)-len(extension(name))] }

func extension(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 1 || len(name)-i > 8 {
		return ""
	}
	return name[i:]
}

// swipe goes back to the list when a finger moves to the right across the reader, where the list is not beside it.
func (c *Reader) swipe(el js.Value) {
	var x, y float64
	var armed bool
	on := func(name string, fn func(touch js.Value, fingers int)) {
		options := js.Global().Get("Object").New()
		options.Set("passive", true)
		el.Call("addEventListener", name, js.FuncOf(func(_ js.Value, args []js.Value) any {
			list := args[0].Get("changedTouches")
			fn(list.Index(0), args[0].Get("touches").Length())
			return nil
		}), options)
	}
	on("touchstart", func(t js.Value, fingers int) {
		x, y, armed = t.Get("clientX").Float(), t.Get("clientY").Float(), fingers == 1
	})
	on("touchend", func(t js.Value, _ int) {
		dx, dy := t.Get("clientX").Float()-x, t.Get("clientY").Float()-y
		if armed && dx > 90 && dy < dx/3 && dy > -dx/3 && js.Global().Get("innerWidth").Float() < 700 {
			c.App.Do(c.App.CloseMessage)
		}
		armed = false
	})
}
