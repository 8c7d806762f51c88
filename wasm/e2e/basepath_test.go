package e2e

import (
	"testing"
)

// Below a path of a host that has other things, too, the page is the same: it loads, speaks through the tunnel, goes to its
// places and back, keeps to its path, and starts without the gateway from the service worker of that path.
func TestBasePath(t *testing.T) {
	g := startGateway(t, "--base-path", "/mail/")
	bob := startBrowser(t, "bob")
	bob.Go(g.URL() + "/mail/")
	bob.SignInDemo("bob")
	bob.Until("online", q("connection-state")+`.dataset.state === "online"`)
	bob.Open("Welcome to Postern")
	bob.Until("the message's place is below the path", `location.pathname.startsWith("/mail/inbox/")`)
	bob.Until("its text is shown", body+`.includes("Bob")`)
	bob.Until("pictures are there", `[...document.querySelectorAll("img")].every(i => i.complete && i.naturalWidth > 0) && [...document.querySelectorAll("use")].every(u => u.getBBox().width > 0 || !u.checkVisibility())`)
	bob.Compose("alice@postern.test", "Below a path", "It works here, too.")
	bob.Click("folder-sent")
	bob.Until("it was sent", row("Below a path")+` !== undefined`)
	bob.Until("the folder's place is below the path", `location.pathname === "/mail/sent"`)
	bob.Eval(`history.back()`, nil)
	bob.Until("and back", `location.pathname.startsWith("/mail/inbox")`)
	bob.Until("nothing was asked for beside the path", `performance.getEntriesByType("resource").every(e => !e.name.startsWith(location.origin) || new URL(e.name).pathname.startsWith("/mail/"))`)

	bob.Until("the page can start offline", `navigator.serviceWorker.ready.then(r => !!r.active && new URL(r.scope).pathname === "/mail/")`)
	bob.Until("the manifest is of the path", `fetch(document.querySelector('link[rel="manifest"]').href).then(r => r.json()).then(m => m.id === "/mail/" && new URL(m.start_url, document.querySelector('link[rel="manifest"]').href).pathname === "/mail/inbox")`)
	g.Kill()
	bob.Reload()
	bob.Until("the page says offline", q("connection-state")+`.dataset.state !== "online"`)
	bob.Click("folder-sent")
	bob.Open("Below a path")
	bob.Until("the text is read offline", body+`.includes("It works here, too.")`)
}
