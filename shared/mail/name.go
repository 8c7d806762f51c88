package mail

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// extensions are what an attachment without a name gets, by media type.
var extensions = map[string]string{
	"message/rfc822": ".eml", "message/global": ".eml", "message/delivery-status": ".txt", "message/disposition-notification": ".txt",
	"text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics", "text/csv": ".csv", "text/vcard": ".vcf", "text/x-vcard": ".vcf",
	"text/rfc822-headers": ".txt", "image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp", "image/svg+xml": ".svg",
	"image/tiff": ".tiff", "image/bmp": ".bmp", "application/pdf": ".pdf", "application/zip": ".zip", "application/json": ".json", "application/xml": ".xml",
	"application/pgp-signature": ".asc", "application/pgp-keys": ".asc", "application/pkcs7-signature": ".p7s", "application/pkcs7-mime": ".p7m",
	"application/ms-tnef": ".dat", "audio/mpeg": ".mp3", "video/mp4": ".mp4",
}

// safeName makes a name that a file system can take and that shows what it is: the last segment of a path, no control
// or direction characters, none that Windows refuses, no dot in front, not too long. It is empty if nothing is left.
func safeName(s string) string {
	for range 5 { // what one rule takes away can bring to the front what another takes
		t := cleanName(s)
		if t == s {
			break
		}
		s = t
	}
	return s
}

func cleanName(s string) string {
	s = cleanLine(s)
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		case r == '\u200b' || r == '\u200e' || r == '\u200f' || r == '\ufeff' || r == '\u00ad':
			return -1
		}
		return r
	}, s)
	s = strings.TrimFunc(s, func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
	if len(s) > maxName {
		ext := ""
		if i := strings.LastIndexByte(s, '.'); i > 0 && len(s)-i <= 20 {
			ext = s[i:]
		}
		cut := maxName - len(ext)
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = strings.TrimRight(s[:cut], ". ") + ext
	}
	stem, _, _ := strings.Cut(s, ".")
	switch strings.ToLower(stem) { // devices of Windows
	case "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "lpt1", "lpt2", "lpt3":
		s = "_" + s
	}
	return s
}

// reportNames are the parts of a report, which have no names of their own: RFC 3464, RFC 3462, RFC 6533, RFC 8098.
var reportNames = map[string]string{
	"message/delivery-status": "delivery-status.txt", "message/global-delivery-status": "delivery-status.txt",
	"message/disposition-notification": "receipt.txt", "text/rfc822-headers": "message-headers.txt", "message/global-headers": "message-headers.txt",
}

// partName answers the name of an attachment; one without gets one, from its subject if it is a message.
func partName(e *entity, number int) string {
	if n := safeName(e.rawName()); n != "" {
		return n
	}
	if n := reportNames[e.media]; n != "" {
		return n
	}
	ext := extensions[e.media]
	if e.media == "message/rfc822" {
		h, _ := readHeader(trimEnvelope(e.octets()), never)
		if n := safeName(strings.NewReplacer("/", "-", `\`, "-").Replace(decodeLine(h.get("subject"), decoder{}))); n != "" {
			return safeName(n + ext)
		}
	}
	return fmt.Sprintf("attachment-%d%s", number, ext)
}
