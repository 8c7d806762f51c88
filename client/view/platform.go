package view

import "time"

// Scheduler lets one goroutine at a time change the state, and draws it afterwards. Update locks, runs fn, unlocks and
// asks for one rendering (many Updates before the next frame make one rendering). fn must not block and must not call
// Update. DOM handlers run inside an Update already. Later is the same for what nobody waits to see, and may draw it some
// tenths of a second later: 2,000 files that go up say 8,000 things.
type Scheduler interface {
	Update(fn func())
	Later(fn func())
}

// Platform is what the page needs of the browser. The methods are called with the Scheduler's lock held, do not block,
// and call back (where they take a function) inside Scheduler.Update. client/platform implements it.
type Platform interface {
	// Now is the present in the user's time zone.
	Now() time.Time
	// Local is the same instant in the user's time zone as it was then, daylight saving included.
	Local(t time.Time) time.Time

	// Location is the path and query in the address bar, such as "/inbox/12".
	Location() string
	// Push makes path the address, with a new entry in the history; Replace makes it that of the present entry. Neither
	// calls App.Navigated: only Back and the browser's own buttons do.
	Push(path string)
	Replace(path string)
	Back()
	// SetTitle names the page and shows the number of unread messages on its icon where the browser can.
	SetTitle(title string, unread int)
	// SetTheme puts "light", "dark" or "system" on the document element's data-theme.
	SetTheme(theme string)
	// Narrow says that one pane is shown at a time (under 700 px).
	Narrow() bool

	// Focus moves the keyboard's focus after the next rendering to the first element that matches the CSS selector; an
	// element that is not there or not shown is no error.
	Focus(selector string)

	// Preference answers what SetPreference kept on this device, "" when nothing.
	Preference(key string) string
	SetPreference(key, value string)

	// SaveFile hands a file to the browser's downloads.
	SaveFile(name, mediaType string, data []byte)
	// SaveDevice hands a file of the browser's private file system to its downloads, without reading it, and says by done
	// whether that was possible.
	SaveDevice(path, name string, done func(saved bool))
	// Copy puts text on the clipboard.
	Copy(text string)
	// Notify shows a notification of the system if the user allowed it and does not look at the page; a click on it
	// focuses the page and calls open. AskToNotify asks for that permission.
	Notify(title, body string, open func())
	AskToNotify(answer func(allowed bool))
}
