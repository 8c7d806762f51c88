package platform

import "strings"

// harmless answers a media type under which a browser does not run what a stranger sent.
func harmless(mediaType string) string {
	t, _, _ := strings.Cut(mediaType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	major, _, ok := strings.Cut(t, "/")
	switch {
	case !ok, t == "image/svg+xml":
	case major == "image", major == "audio", major == "video", major == "font":
		return t
	case t == "text/plain", t == "text/csv", t == "text/calendar", t == "application/pdf", t == "application/zip", t == "message/rfc822":
		return t
	}
	return "application/octet-stream"
}
