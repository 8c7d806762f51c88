// Package redact keeps people's addresses out of a log. Those who write to the log leave them out, too; this is for what
// they cannot see coming: the words of another server in an error, a file's name, a library that means well.
//
// What is logged instead is a number that is the same for the same address while the program runs: one can see that two
// lines are about one person, and not whom. It cannot be computed from an address either, for its key is forgotten at the end.
package redact

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// Handler passes records on to next, without addresses.
func Handler(next slog.Handler) slog.Handler {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it does not fail
	return &handler{next, key}
}

type handler struct {
	next slog.Handler
	key  []byte
}

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.next.WithAttrs(h.attrs(attrs)), h.key}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.next.WithGroup(h.text(name)), h.key}
}

func (h *handler) attrs(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, 0, len(attrs))
	for _, a := range attrs {
		clean = append(clean, h.attr(a))
	}
	return clean
}

func (h *handler) attr(a slog.Attr) slog.Attr {
	a.Key, a.Value = h.text(a.Key), a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(h.text(a.Value.String()))
	case slog.KindGroup:
		a.Value = slog.GroupValue(h.attrs(a.Value.Group())...)
	case slog.KindAny:
		// Whatever a handler would make of it (a MarshalText, fields): words are all that is let through.
		a.Value = slog.StringValue(h.text(fmt.Sprint(a.Value.Any())))
	}
	return a
}

// address is what looks like one (RFC 5321 section 4.1.2), or part of one: a local-part, in quotes or not, the sign, and a
// domain or an address literal. It takes too much rather than too little: nothing with the sign in it stays.
var address = regexp.MustCompile(`(?:\\?"[^"]*"|[^\s<>()\[\],;:"@=]*)@(?:\[[^\]\s]*\]?|[^\s<>()\[\],;:"'@=\\]*)`)

// text is s with a number for each address.
func (h *handler) text(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	return address.ReplaceAllStringFunc(s, func(found string) string {
		mac := hmac.New(sha256.New, h.key)
		mac.Write([]byte(strings.ToLower(strings.Trim(found, `\"'.`))))
		return "address-" + hex.EncodeToString(mac.Sum(nil)[:4])
	})
}
