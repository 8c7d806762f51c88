package web

import (
	"net/http"
	"strings"
)

// pagePolicy is the Content-Security-Policy (level 3) of everything but the message frame. Scripts come from this
// origin alone and none is inline; WebAssembly may be compiled, strings may not be evaluated. connect-src 'self' covers
// the WebSocket: level 3 lets 'self' match ws and wss of the same host and port.
var pagePolicy = strings.Join([]string{
	"default-src 'self'",
	"script-src 'self' 'wasm-unsafe-eval'",
	"style-src 'self'",
	"img-src 'self' data: blob:",
	"connect-src 'self'",
	"frame-src 'self'",
	"object-src 'none'",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
}, "; ")

// framePolicy is that of the document in which an HTML message is shown. Nothing in it runs, nothing is fetched: what
// a sanitizer might ever let through has nowhere to go. Styles may be inline, for mail is styled so. A document of its
// own is needed because a srcdoc frame would inherit the page's policy.
var framePolicy = strings.Join([]string{
	"default-src 'none'",
	"img-src data: blob:",
	"style-src 'unsafe-inline'",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'self'",
	"sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox",
}, "; ")

// unusedPermissions are the powerful features the page has no use for: no message and no dependency can ask for them.
// Clipboard, notifications and storage stay with the page.
var unusedPermissions = strings.Join([]string{
	"accelerometer=()", "camera=()", "display-capture=()", "geolocation=()", "gyroscope=()", "magnetometer=()",
	"microphone=()", "midi=()", "payment=()", "publickey-credentials-get=()", "serial=()", "usb=()", "xr-spatial-tracking=()",
}, ", ")

// strictTransport is a year (RFC 6797): browsers come by https alone, to this name and to none below it.
const strictTransport = "max-age=31536000"

const frameName = "frame.html"

// secure sets the headers that every answer carries; name is the asset's, or "".
func secure(h http.Header, name string) {
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Frame-Options", "DENY")
	if name == frameName {
		h.Set("Content-Security-Policy", framePolicy)
		h.Set("X-Frame-Options", "SAMEORIGIN")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", unusedPermissions)
}
