package ui

import (
	"strconv"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// MessageList is the list of messages: as many rows as fit on the screen and a few more, whatever the folder holds. A
// row that scrolls out at one end is used again at the other, so that scrolling by a row changes one row.
type MessageList struct {
	App *view.App

	scroll *scroller
	now    time.Time // of this build, for all rows
}

// Compute runs before each build.
func (c *MessageList) Compute() { c.now = c.App.Now() }

const (
	spareRows    = 6   // drawn beyond each edge of the screen, so that a fast wheel meets no gap
	skeletonRows = 12  // while the rows are not known
	rowsAtFirst  = 24  // before the scroller has told how many fit
	rowHeight    = 76  // px, until the style sheet's own has been read; the natively built tests use it
	rowsMost     = 120 // on a very tall screen
)

type slot struct{ slot, index int }

// slots are the rows to draw. A row keeps its slot while it is drawn.
func (c *MessageList) slots() []slot {
	l := &c.App.List
	total := l.Total
	if !l.Loaded && total == 0 {
		if !l.Slow && c.App.Session.Phase == view.SignedIn {
			return nil // most often the rows are there before anybody sees that they are not
		}
		total = skeletonRows
	}
	shown := l.Shown
	if shown == 0 {
		shown = rowsAtFirst
	}
	return slotsOf(l.First, shown, total)
}

// slotsOf are the rows of a list to draw.
func slotsOf(from, shown, total int) []slot {
	n := min(shown+2*spareRows, rowsMost)
	first := min(max(from-spareRows, 0), max(total-n, 0))
	last := min(first+n, total)
	out := make([]slot, 0, n)
	for i := first; i < last; i++ {
		out = append(out, slot{i % n, i})
	}
	// In the order of slots the elements stay where they are; the rows say their number to a screen reader.
	for i := range out {
		for i > 0 && out[i].slot < out[i-1].slot {
			out[i], out[i-1] = out[i-1], out[i]
			i--
		}
	}
	return out
}

func (c *MessageList) height() string {
	total := c.App.List.Total
	if !c.App.List.Loaded && total == 0 {
		total = skeletonRows
	}
	return "height:calc(var(--row-height)*" + strconv.Itoa(total) + ")"
}

func (c *MessageList) title() string {
	if p := c.App.List.Place(); p.Search && p.Query != "" {
		return "Found in " + c.folder()
	}
	return c.folder()
}

func (c *MessageList) folder() string {
	switch p := c.App.List.Place(); {
	case p.All:
		return view.AllInboxes
	case p.Folder == "":
		return view.FolderName(api.Inbox)
	default:
		return view.FolderName(p.Folder)
	}
}

// sync is how fetching stands, beneath the title where the bar has no room for it.
func (c *MessageList) sync() string {
	s, _ := c.App.SyncWords()
	if c.App.Gateway.State != api.Online { // nor has the bar room for these words
		return c.App.ConnectionWords() + " · " + s
	}
	return s
}

func (c *MessageList) count() string {
	l := &c.App.List
	switch {
	case !l.Loaded && l.Total == 0:
		return ""
	case l.Place().Search:
		return view.Count(l.Total, "message")
	case l.Total == 0:
		return ""
	case l.Unread() > 0 && l.Place().Folder == api.Inbox:
		return view.Number(l.Unread()) + " unread of " + view.Number(l.Total)
	}
	return view.Count(l.Total, "message")
}

func (c *MessageList) label() string {
	p := c.App.List.Place()
	if p.Search {
		return "Messages found for " + p.Query
	}
	return "Messages in " + c.folder()
}

func (c *MessageList) empty() bool { return c.App.List.Loaded && c.App.List.Total == 0 }

func (c *MessageList) yours() string {
	if c.App.InAll() {
		return "your inboxes"
	}
	return "your inbox"
}

type emptyWords struct{ icon, title, text, action string }

// emptyWords say what will be here, and the next step.
func (c *MessageList) emptyWords() emptyWords {
	p := c.App.List.Place()
	if p.Search && p.Query != "" {
		return emptyWords{"search", "Nothing found", "No message in " + c.folder() + " has all of “" + p.Query + "”.", "Clear the search"}
	}
	switch p.Folder {
	case api.Inbox:
		if c.App.Speaking().Sync.State == api.Syncing {
			return emptyWords{"inbox", "Fetching your mail", "The first messages appear here in a moment.", ""}
		}
		return emptyWords{"inbox", "Nothing in " + c.yours(), "New mail appears here by itself.", "Write a message"}
	case api.Drafts:
		return emptyWords{"drafts", "No drafts", "What you write is kept here until you send it.", "Write a message"}
	case api.Outbox:
		return emptyWords{"outbox", "Nothing is waiting", "A message stays here until the mail server has it.", ""}
	case api.Sent:
		return emptyWords{"sent", "Nothing sent yet", "Messages that you send are kept here.", "Write a message"}
	case api.Trash:
		return emptyWords{"trash", "The trash is empty", "Messages that you delete come here first.", ""}
	}
	if p.Folder == api.Junk {
		return emptyWords{"junk", "No junk", "What your mail server does not believe comes here, with the reason.", ""}
	}
	return emptyWords{"archive", "Nothing here", "Messages that you move here are kept.", ""}
}

func (c *MessageList) emptyAct() {
	if c.App.List.Place().Search {
		c.App.EndSearch()
		return
	}
	c.App.Compose()
}
