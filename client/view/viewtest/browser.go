package viewtest

import (
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Browser is a view.Platform that notes what it is told. Its fields are read with the Page's lock held.
type Browser struct {
	Zone      *time.Location
	At        time.Time // when not zero, the present
	OnePane   bool
	History   []string // addresses, the present one last
	Focused   string
	Title     string
	Unread    int
	Theme     string
	Kept      map[string]string
	Saved     []SavedFile
	Devices   []string // files of the device given to its downloads: "path as name"
	NoDevice  bool     // it cannot
	Notified  []string
	Allow     bool
	Clipboard string

	open      func()
	navigated func(string)
}

// SavedFile is a file given to the browser's downloads.
type SavedFile struct {
	Name, Type string
	Data       []byte
}

var _ view.Platform = (*Browser)(nil)

// Now implements view.Platform.
func (b *Browser) Now() time.Time {
	if !b.At.IsZero() {
		return b.At.In(b.Zone)
	}
	return time.Now().In(b.Zone)
}

// Local implements view.Platform.
func (b *Browser) Local(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(b.Zone)
}

// Location implements view.Platform.
func (b *Browser) Location() string { return b.History[len(b.History)-1] }

// Push implements view.Platform.
func (b *Browser) Push(path string) { b.History = append(b.History, path) }

// Replace implements view.Platform.
func (b *Browser) Replace(path string) { b.History[len(b.History)-1] = path }

// Back implements view.Platform.
func (b *Browser) Back() {
	if len(b.History) > 1 {
		b.History = b.History[:len(b.History)-1]
		b.navigated(b.Location())
	}
}

// SetTitle implements view.Platform.
func (b *Browser) SetTitle(title string, unread int) { b.Title, b.Unread = title, unread }

// SetTheme implements view.Platform.
func (b *Browser) SetTheme(theme string) { b.Theme = theme }

// Narrow implements view.Platform.
func (b *Browser) Narrow() bool { return b.OnePane }

// Focus implements view.Platform.
func (b *Browser) Focus(selector string) { b.Focused = selector }

// Preference implements view.Platform.
func (b *Browser) Preference(key string) string { return b.Kept[key] }

// SetPreference implements view.Platform.
func (b *Browser) SetPreference(key, value string) { b.Kept[key] = value }

// SaveFile implements view.Platform.
func (b *Browser) SaveFile(name, mediaType string, data []byte) {
	b.Saved = append(b.Saved, SavedFile{name, mediaType, data})
}

// SaveDevice implements view.Platform.
func (b *Browser) SaveDevice(path, name string, done func(bool)) {
	b.Devices = append(b.Devices, path+" as "+name)
	done(!b.NoDevice)
}

// Copy implements view.Platform.
func (b *Browser) Copy(text string) { b.Clipboard = text }

// Notify implements view.Platform.
func (b *Browser) Notify(title, body string, open func()) {
	b.Notified = append(b.Notified, title+": "+body)
	b.open = open
}

// ClickNotification opens the newest notification.
func (b *Browser) ClickNotification() { b.open() }

// AskToNotify implements view.Platform.
func (b *Browser) AskToNotify(answer func(bool)) { answer(b.Allow) }

// Lock is a view.Scheduler without a screen.
type Lock struct{ mu sync.Mutex }

// Update implements view.Scheduler.
func (l *Lock) Update(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
}

// Later implements view.Scheduler.
func (l *Lock) Later(fn func()) { l.Update(fn) }

// Page is an App in a Browser, to be used in the bubble of a synctest.
type Page struct {
	*view.App
	Browser *Browser
	T       *testing.T
	lock    Lock
}

// NewPage makes a page at an address and starts it. Events must be given to Page.Receive.
func NewPage(t *testing.T, svc api.Service, location string) *Page {
	p := &Page{Browser: &Browser{Zone: time.UTC, History: []string{location}, Kept: map[string]string{}}, T: t}
	p.App = view.New(svc, p.Browser, &p.lock)
	p.Browser.navigated = p.App.Navigated
	return p
}

// Do runs fn with the lock held, as a DOM handler does.
func (p *Page) Do(fn func()) {
	p.T.Helper()
	p.lock.Update(fn)
}
