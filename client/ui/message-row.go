package ui

import (
	"strconv"
	"strings"
	"time"

	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// MessageRow is one row of the list; a row whose message is not here yet is a skeleton of the same height.
type MessageRow struct {
	App   *view.App
	Index int
	Now   time.Time

	row   api.Row
	there bool
	date  string
}

// Compute runs before each build.
func (c *MessageRow) Compute() {
	c.row, c.there = c.App.List.Row(c.Index)
	c.date = view.ListDate(c.row.Date, c.Now)
}

func (c *MessageRow) class() string {
	return classes("row", when(!c.there, "row-skeleton"), when(c.row.Unread, "row-unread"),
		when(c.open(), "row-open"), when(c.App.List.Selected[c.ref()], "row-selected"),
		when(len(c.App.List.Selected) > 0, "row-choosing"), when(view.CJK(c.row.Subject), "cjk"))
}

func (c *MessageRow) open() bool { return c.there && c.App.Open == c.ref() }

func (c *MessageRow) ref() api.MessageRef { return view.RefOf(c.row) }

func (c *MessageRow) hook() any {
	switch {
	case !c.there:
		return nil
	case c.row.Folder == api.Outbox:
		return "outbox-row"
	}
	return "message-row"
}

func (c *MessageRow) id() any {
	if !c.there {
		return nil
	}
	return strconv.FormatUint(uint64(c.row.ID), 10)
}

// key names the row for the keyboard's focus.
func (c *MessageRow) key() any {
	if !c.there {
		return nil
	}
	return c.App.List.Key(c.ref())
}

// account names the account in a list of several.
func (c *MessageRow) account() string {
	if !c.there || !c.App.InAll() {
		return ""
	}
	return view.Label(c.App.AccountOf(c.row.Account))
}

// home is the account, where several are listed.
func (c *MessageRow) home() any {
	if !c.there || !c.App.InAll() {
		return nil
	}
	return string(c.row.Account)
}

func (c *MessageRow) subjectRaw() any {
	if !c.there {
		return nil
	}
	return c.row.Subject
}

func (c *MessageRow) unread() any {
	if !c.there {
		return nil
	}
	return boolText(c.row.Unread)
}

func (c *MessageRow) state() any {
	if c.row.State == "" {
		return nil
	}
	return string(c.row.State)
}

func (c *MessageRow) selected() string {
	if len(c.App.List.Selected) > 0 {
		return boolText(c.App.List.Selected[c.ref()])
	}
	return boolText(c.open())
}

// tabindex makes one row a stop of the Tab key: the cursor's.
func (c *MessageRow) tabindex() string {
	if c.there && c.ref() == c.App.List.Cursor {
		return "0"
	}
	return "-1"
}

func (c *MessageRow) place() string {
	return "transform:translateY(calc(var(--row-height)*" + strconv.Itoa(c.Index) + "))"
}

// who is the sender; of mail from here, its recipients.
func (c *MessageRow) who() string {
	if !c.there {
		return ""
	}
	switch c.row.Folder {
	case api.Sent, api.Drafts, api.Outbox:
		if len(c.row.To) == 0 {
			return "(no recipient)"
		}
		return "To: " + view.Names(c.row.To, 3)
	}
	return view.SenderName(c.row.From)
}

func (c *MessageRow) subject() string {
	if c.there && c.row.Subject == "" {
		return view.NoSubject
	}
	return c.row.Subject
}

func (c *MessageRow) fullDate() any {
	if !c.there {
		return nil
	}
	return view.FullDate(c.row.Date)
}

func (c *MessageRow) stamp() any {
	if c.row.Date.IsZero() {
		return nil
	}
	return c.row.Date.Format(time.RFC3339)
}

func (c *MessageRow) snippet() string {
	if c.chip() && c.row.Problem != nil {
		return c.words().Means
	}
	return c.row.Snippet
}

// chip says where a message on its way is, in the outbox. In the other folders the folder says it.
func (c *MessageRow) chip() bool { return c.there && c.row.Folder == api.Outbox && c.row.State != "" }

func (c *MessageRow) words() view.StateWords { return c.App.StateWordsFor(c.row) }

// label is what a screen reader says of the row.
func (c *MessageRow) label() string {
	if !c.there {
		return "Loading"
	}
	var b strings.Builder
	if c.row.Unread {
		b.WriteString("Unread, ")
	}
	b.WriteString(c.who() + ", " + c.subject() + ", " + c.date)
	if a := c.account(); a != "" {
		b.WriteString(", " + a)
	}
	if c.chip() {
		b.WriteString(", " + c.words().Short)
	}
	if c.row.Flagged {
		b.WriteString(", flagged")
	}
	if c.row.Attachments > 0 {
		b.WriteString(", " + view.Count(c.row.Attachments, "attachment"))
	}
	return b.String()
}

func (c *MessageRow) click(e vugu.DOMEvent) {
	switch {
	case !c.there:
	case e.PropBool("shiftKey"):
		c.App.List.Toggle(c.ref(), true)
	case e.PropBool("ctrlKey") || e.PropBool("metaKey"):
		c.App.List.Toggle(c.ref(), false)
	default:
		c.App.List.ClearSelection()
		c.App.OpenMessage(c.ref())
	}
}

func (c *MessageRow) check(e vugu.DOMEvent) {
	e.StopPropagation()
	if c.there {
		c.App.List.Toggle(c.ref(), e.PropBool("shiftKey"))
	}
}

// focus follows the Tab key and the pointer into the list.
func (c *MessageRow) focus() {
	if c.there && c.App.List.Cursor != c.ref() {
		c.App.List.SetCursor(c.ref())
	}
}

func (c *MessageRow) canMark() bool {
	return c.row.Folder != api.Drafts && c.row.Folder != api.Outbox && c.row.Folder != api.Sent
}

func (c *MessageRow) canArchive() bool {
	return c.App.HasFolder(c.row.Account, view.Archive) && c.canMark()
}

func (c *MessageRow) unreadAct() string {
	if c.row.Unread {
		return "Mark read"
	}
	return "Mark unread"
}

func (c *MessageRow) unreadIcon() string {
	if c.row.Unread {
		return "read"
	}
	return "unread"
}

func (c *MessageRow) toggleUnread(e vugu.DOMEvent) {
	e.StopPropagation()
	c.App.MarkUnread([]api.MessageRef{c.ref()}, !c.row.Unread)
}

func (c *MessageRow) archive(e vugu.DOMEvent) {
	e.StopPropagation()
	c.App.Archive([]api.MessageRef{c.ref()})
}

func (c *MessageRow) remove(e vugu.DOMEvent) {
	e.StopPropagation()
	c.App.Delete([]api.MessageRef{c.ref()})
}
