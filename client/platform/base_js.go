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

// Rooted is the path on the host of what is at path in the page: "/mail/inbox" for "/inbox".
func Rooted(path string) string { return base() + strings.TrimPrefix(path, "/") }

// inside is the reverse of Rooted.
func inside(path string) string { return "/" + strings.TrimPrefix(path, base()) }
