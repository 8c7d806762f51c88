package view

import (
	"strconv"

	"github.com/postern-mail/postern/client/api"
)

// Settings are kept on this device.
type Settings struct {
	Theme     string // "system", "light" or "dark"
	ListWidth int    // of the list on a wide page, px
	Notify    bool   // new mail is told by the system

	folded map[api.AccountID]bool // whose folders are put away in the side bar
	app    *App
}

// Themes in the order in which they are offered.
var Themes = []string{"system", "light", "dark"}

// The list may be this wide, px: narrower, a sender's name has no room; wider, the mail has none.
const (
	ListWidthLeast   = 300
	ListWidthMost    = 640
	listWidthDefault = 380
)

func (s *Settings) load() {
	p := s.app.platform
	s.Theme = "system"
	for _, t := range Themes {
		if p.Preference("theme") == t {
			s.Theme = t
		}
	}
	p.SetTheme(s.Theme)
	s.ListWidth = listWidthDefault
	if n, err := strconv.Atoi(p.Preference("list-width")); err == nil {
		s.ListWidth = min(max(n, ListWidthLeast), ListWidthMost)
	}
	s.Notify = p.Preference("notify") == "yes"
	s.loadFolded()
}

// SetTheme chooses light, dark, or what the system has.
func (s *Settings) SetTheme(t string) {
	s.Theme = t
	s.app.platform.SetTheme(t)
	s.app.platform.SetPreference("theme", t)
}

// SetListWidth makes the list so wide, and remembers it when done.
func (s *Settings) SetListWidth(px int, done bool) {
	s.ListWidth = min(max(px, ListWidthLeast), ListWidthMost)
	if done {
		s.app.platform.SetPreference("list-width", strconv.Itoa(s.ListWidth))
	}
}

// ToggleNotify turns the system's notifications of new mail on, if the user allows them, or off.
func (s *Settings) ToggleNotify() {
	if s.Notify {
		s.setNotify(false)
		return
	}
	s.app.platform.AskToNotify(func(allowed bool) {
		s.setNotify(allowed)
		if !allowed {
			s.app.Toasts.Say("The browser does not allow notifications for this page")
		}
	})
}

func (s *Settings) setNotify(on bool) {
	s.Notify = on
	v := "no"
	if on {
		v = "yes"
	}
	s.app.platform.SetPreference("notify", v)
}

// MenuID names what is open on top of the page.
type MenuID string

// The menus and sheets; one is open at a time.
const (
	MenuNone      MenuID = ""
	MenuAccount   MenuID = "account"
	MenuMessage   MenuID = "message"
	MenuShortcuts MenuID = "shortcuts"
	MenuSignOut   MenuID = "signout"
	MenuFiles     MenuID = "files"
	MenuCrumbs    MenuID = "crumbs"
)

// Menu is what is open on top of the page.
type Menu struct {
	Open  MenuID
	app   *App
	going bool // g was pressed: the next letter names a folder
}

// Toggle opens a menu, or closes it if it is the one open.
func (m *Menu) Toggle(id MenuID) {
	if m.Open == id {
		m.Close()
		return
	}
	m.Open = id
	m.app.platform.Focus(`[data-menu="` + string(id) + `"] [data-first]`)
}

// Close closes whatever is open, and gives the focus back to what opened it.
func (m *Menu) Close() {
	if m.Open == MenuNone {
		return
	}
	was := m.Open
	m.Open = MenuNone
	switch was {
	case MenuAccount, MenuSignOut:
		m.app.platform.Focus(`[data-testid="account-menu"]`)
	case MenuMessage:
		m.app.platform.Focus(`[data-opens="message"]`)
	case MenuFiles, MenuCrumbs:
		m.app.platform.Focus(`[data-opens="` + string(was) + `"]`)
	default:
		m.app.List.focusCursor()
	}
}
