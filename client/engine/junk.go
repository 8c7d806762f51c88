package engine

import (
	"bytes"
	"strings"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/printable"
)

// What the account's own server holds for junk is put into Junk when it arrives. POP3 has one mailbox and no flags, so the
// gateway's server says it in a field of the trace that it writes above each message, and lets none of that name in from
// outside. Another server does not know of it: there the field is a sender's, and says nothing.

const (
	junk      = store.Folder(api.Junk)
	junkField = "X-Postern-Junk"
	mostTrace = 64 << 10 // of a message that is looked at
)

// arrivesIn says which folder a message from the server belongs in.
func (a *account) arrivesIn(content []byte) store.Folder {
	l := a.login("")
	if l.servers.POP3.Host != "" {
		return inbox // not the gateway's own server
	}
	if host := l.place(api.POP3).host(); host != "" && junkReason(content, host) != "" {
		return junk
	}
	return inbox
}

// junkReason is why a server calls a message junk; "" if it does not. Its word stands above the first Received field, which
// is that server's own: what stands beneath came with the message. An empty host is any.
func junkReason(content []byte, host string) (reason string) {
	var fields []string
	for line := range bytes.Lines(content[:min(len(content), mostTrace)]) {
		if text := strings.TrimRight(string(line), "\r\n"); len(fields) > 0 && strings.TrimLeft(text, " \t") != text {
			fields[len(fields)-1] += text
		} else if fields = append(fields, text); len(fields) > 1 && hasName(fields[len(fields)-2], "Received") || text == "" {
			break
		}
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		switch {
		case strings.EqualFold(name, junkField):
			answer, rest, _ := strings.Cut(strings.TrimSpace(value), ";")
			if strings.EqualFold(answer, "yes") {
				why, _ := strings.CutPrefix(strings.TrimSpace(rest), "reason=")
				if reason = printable.Short(strings.Trim(why, `"`), 200); strings.TrimSpace(reason) == "" {
					reason = "The mail server holds it for junk."
				}
			}
		case strings.EqualFold(name, "Received"):
			words := strings.Fields(value)
			for i := range len(words) - 1 {
				if words[i] == "by" {
					if host == "" || strings.EqualFold(words[i+1], host) {
						return reason
					}
					return ""
				}
			}
			return ""
		}
	}
	return ""
}

func hasName(field, name string) bool {
	n, _, ok := strings.Cut(field, ":")
	return ok && strings.EqualFold(n, name)
}
