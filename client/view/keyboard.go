package view

import "github.com/postern-mail/postern/client/api"

// Key is a key pressed on the page.
type Key struct {
	Name        string // as KeyboardEvent.key says: "j", "Enter", "Escape"
	Ctrl, Shift bool   // Ctrl stands for the Command key too
	Alt         bool
	Typing      bool // in a field where letters are text
	InList      bool // the focus is in the list of messages
	OnControl   bool // the focus is on a button or link, which Enter and space press
}

// Shortcut is a line of the sheet that the question mark opens.
type Shortcut struct{ Keys, Does string }

// ShortcutGroup is some of them that belong together.
type ShortcutGroup struct {
	Title string
	List  []Shortcut
}

var deskShortcuts = ShortcutGroup{"Mail server", []Shortcut{{"j", "Next message"}, {"k", "Previous message"}, {"/", "Filter"}, {"Esc", "Back"}}}

var fileShortcuts = ShortcutGroup{"Files", []Shortcut{{"Enter", "Open, or download"}, {"Backspace", "Up"}, {"Space", "Select"}, {"Ctrl+A", "Select all"}, {"F2", "Rename"}, {"Delete", "Delete"}, {"Ctrl+Z", "Undo"}, {"/", "Filter"}, {"a … z", "Go to a name"}, {"Tab  Enter", "What can be done with it"}, {"?", "This list"}}}

var shortcuts = []ShortcutGroup{
	{"Reading", []Shortcut{{"j  ↓", "Next message"}, {"k  ↑", "Previous message"}, {"o  Enter", "Open"}, {"Esc", "Back"}, {"u", "Mark unread or read"}, {"s", "Flag"}, {"x", "Select"}, {"#  Delete", "Delete"}}},
	{"Writing", []Shortcut{{"c", "New message"}, {"r", "Reply"}, {"a", "Reply to all"}, {"f", "Forward"}, {"Ctrl+Enter", "Send"}, {"Esc", "Put away, saved in Drafts"}}},
	{"Going", []Shortcut{{"/", "Search"}, {"g a", "All inboxes"}, {"g i", "Inbox"}, {"g d", "Drafts"}, {"g o", "Outbox"}, {"g s", "Sent"}, {"g t", "Trash"}, {"Shift+R", "Fetch new mail"}, {"z", "Undo"}, {"?", "This list"}}},
}

// Shortcuts are all of them that mean something here.
func (a *App) Shortcuts() []ShortcutGroup {
	if a.Route.Page == PageFiles {
		return []ShortcutGroup{fileShortcuts}
	}
	if a.Route.Page == PageServer {
		return append([]ShortcutGroup{deskShortcuts}, shortcuts...)
	}
	return shortcuts
}

// Key does what a key means here, and says whether it meant anything.
func (a *App) Key(k Key) bool {
	if a.Question.Asked() {
		if k.Name == "Escape" {
			a.Question.No()
		}
		return k.Name == "Escape"
	}
	if a.Trust.Certificate != nil {
		if k.Name == "Escape" {
			a.Trust.Cancel()
		}
		return k.Name == "Escape"
	}
	if name, _ := a.Transfers.Clash(); name != "" {
		if k.Name == "Escape" {
			a.Transfers.Settle(api.ExistsAsk, false)
		}
		return k.Name == "Escape"
	}
	if a.Picker.Asked {
		return a.Picker.key(k)
	}
	if a.Session.Phase == Starting || a.Session.Shown() {
		if k.Name == "Escape" && a.Session.Adding {
			a.Session.Cancel()
			return true
		}
		return false
	}
	switch {
	case k.Name == "Enter" && k.Ctrl && a.Composer.Open:
		a.Composer.Send()
		return true
	case k.Name == "Escape":
		return a.escape(k)
	case a.Route.Page == PageFiles && a.Menu.Open == MenuNone && !k.Typing && k.Name != "?":
		a.Menu.going = false
		return a.Files.key(k)
	case k.Typing || k.Ctrl || k.Alt:
		a.Menu.going = false
		return false
	}
	if a.Menu.going {
		a.Menu.going = false
		if k.Name == "a" {
			a.OpenAll()
			return true
		}
		if f, ok := goKeys[k.Name]; ok {
			a.OpenFolder(f)
			return true
		}
	}
	if k.Name == "?" {
		a.Menu.Toggle(MenuShortcuts)
		return true
	}
	if a.Route.Page == PageServer && a.Menu.Open == MenuNone {
		return a.Desk.key(k)
	}
	if a.Menu.Open != MenuNone || a.Route.Page == PageSettings || a.Route.Page == PageWire || a.Route.Page == PageSite {
		return false
	}
	return a.letter(k) || a.listKey(k)
}

var goKeys = map[string]api.FolderID{"i": api.Inbox, "d": api.Drafts, "o": api.Outbox, "s": api.Sent, "t": api.Trash, "e": Archive}

func (a *App) letter(k Key) bool {
	refs := a.List.Targets()
	switch k.Name {
	case "j":
		a.List.Move(1)
	case "k":
		a.List.Move(-1)
	case "o":
		a.openCursor()
	case "r":
		a.withMessage(a.Reply)
	case "a":
		a.withMessage(a.ReplyAll)
	case "f":
		a.withMessage(a.Forward)
	case "c":
		a.Compose()
	case "e":
		return a.Archive(refs)
	case "#", "Delete":
		a.Delete(refs)
	case "u":
		a.ToggleUnread(refs)
	case "s":
		a.ToggleFlag(refs)
	case "x":
		a.List.Toggle(a.List.Cursor, false)
	case "R":
		a.SyncNow()
	case "z":
		a.UndoLast()
	case "/":
		a.FocusSearch()
	case "g":
		a.Menu.going = true
	default:
		return false
	}
	return true
}

func (a *App) listKey(k Key) bool {
	l := &a.List
	if !k.InList {
		return false
	}
	switch k.Name {
	case "ArrowDown":
		l.step(1, k.Shift)
	case "ArrowUp":
		l.step(-1, k.Shift)
	case "PageDown":
		l.Move(max(l.Shown-1, 1))
	case "PageUp":
		l.Move(-max(l.Shown-1, 1))
	case "Home":
		l.MoveToEnd(false)
	case "End":
		l.MoveToEnd(true)
	case "Enter":
		if k.OnControl {
			return false
		}
		a.openCursor()
	case " ":
		if k.OnControl {
			return false
		}
		l.Toggle(l.Cursor, k.Shift)
	default:
		return false
	}
	return true
}

// step moves by a row; with Shift it selects on the way.
func (l *List) step(by int, extend bool) {
	if !extend {
		l.Move(by)
		return
	}
	from := l.anchor
	if len(l.Selected) == 0 {
		l.Toggle(l.Cursor, false)
		from = l.anchor
	}
	l.Move(by)
	l.anchor = from
	l.Toggle(l.Cursor, true)
	l.anchor = from
}

// openCursor opens the message under the cursor and goes into it.
func (a *App) openCursor() {
	m := a.List.Cursor
	if m.ID == 0 {
		return
	}
	if a.Open != m || a.Route.Page != PageReader {
		a.OpenMessage(m)
	}
	if a.List.place.Folder != api.Drafts {
		a.platform.Focus(readerHeading)
	}
}

// withMessage answers or forwards the message being read.
func (a *App) withMessage(do func()) {
	if a.Reader.Message != nil {
		do()
	}
}

// escape closes what is on top: menu, composer, selection, search, message.
func (a *App) escape(k Key) bool {
	a.Menu.going = false
	switch {
	case a.Menu.Open != MenuNone:
		a.Menu.Close()
	case a.Composer.Open && (k.Typing || a.Route.Page == PageComposer):
		a.Composer.Leave()
	case a.Route.Page == PageSettings:
		a.AccountForm.Leave()
	case a.Route.Page == PageWire:
		a.LeaveWire()
	case a.Route.Page == PageFiles:
		return a.Files.escape()
	case a.Route.Page == PageSite:
		a.SiteForm.Leave()
	case a.Route.Page == PageServer && a.Desk.Open != 0:
		a.Desk.OpenRow(0)
	case a.Route.Page == PageServer:
		a.LeaveDesk()
	case len(a.List.Selected) > 0:
		a.List.ClearSelection()
		a.List.focusCursor()
	case a.List.place.Search || a.List.Search != "":
		a.EndSearch()
		a.List.focusCursor()
	case a.Reader.SourceOpen:
		a.Reader.SourceOpen = false
	case a.Route.Page == PageReader:
		a.CloseMessage()
	default:
		return false
	}
	return true
}

// UndoLast does what the newest note with an Undo offers.
func (a *App) UndoLast() {
	for i := len(a.Toasts.Shown) - 1; i >= 0; i-- {
		if n := a.Toasts.Shown[i]; n.Action == "Undo" {
			a.Toasts.Act(n.ID)
			return
		}
	}
}
