// Package platform is the browser, as the page and the engine need it. Everything here stands at the leaves: the page's
// state (client/view) and the engine (client/engine) say by interfaces of their own what they want, and never see
// JavaScript.
//
// For the page: Page (address, focus, files, clipboard, notifications, settings), MessageFrame (HTML mail in a frame
// that runs no script), and Host, which starts the engine's worker in one tab and finds it from the others.
//
// For the engine: Vault (secrets under a key that cannot be taken out of the browser), Socket (the tunnel's WebSocket),
// DecodeText (charsets), Room (on the device) and ServeTabs.
//
// One tab holds the engine, because a file of the origin private file system has one holder: the tab that has the Web
// Lock. The others speak to its worker over a BroadcastChannel, and one of them takes over when it goes. A page that
// goes into the back-forward cache lets go of the lock and of the worker, or the others would wait for a frozen page.
package platform
