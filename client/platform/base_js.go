package platform

import (
	"strings"
	"sync"
	"syscall/js"
)

// base is where on its host the page begins: "/", or a path such as "/mail/". The page and its workers know it by where
// the files of the build are, which is assets below it.
var base = sync.OnceValue(func() string {
	at := js.Global().Get("location").Get("pathname").String() // a worker's is that of its script
	if doc := js.Global().Get("document"); !doc.IsUndefined() {
		if m := doc.Call("querySelector", `meta[name="postern-app"]`); m.Truthy() {
			at = m.Get("content").String()
		}
	}
	if before, _, ok := strings.Cut(at, "/assets/"); ok {
		return before + "/"
	}
	return "/"
})

// sprite is how components name the icons, which index.html holds.
const sprite = "/icons.svg"

// Rooted is the path on the host of what is at path in the page: "/mail/inbox" for "/inbox". An icon's is where it is in
// the page itself: a browser makes a document of its own of a file that an icon is used from, one for each few that are drawn.
func Rooted(path string) string {
	if icon, ok := strings.CutPrefix(path, sprite); ok {
		return icon
	}
	return base() + strings.TrimPrefix(path, "/")
}

// inside is the reverse of Rooted.
func inside(path string) string { return "/" + strings.TrimPrefix(path, base()) }
