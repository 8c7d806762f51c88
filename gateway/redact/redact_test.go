package redact

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

type person struct{ Email string }

func (p person) LogValue() slog.Value { return slog.StringValue(p.Email) }

type marshals struct{}

func (marshals) MarshalText() ([]byte, error) { return []byte("bob@example.org"), nil }

func TestNoAddressIsLogged(t *testing.T) {
	for name, log := range map[string]func(*slog.Logger){
		"message": func(l *slog.Logger) { l.Info("to bob@example.org") },
		"string":  func(l *slog.Logger) { l.Info("x", "to", "<bob@example.org>") },
		"error": func(l *slog.Logger) {
			l.Info("x", "error", fmt.Errorf("550 %w", errors.New("bob@example.org is unknown")))
		},
		"group":    func(l *slog.Logger) { l.Info("x", slog.Group("g", "to", "bob@example.org")) },
		"with":     func(l *slog.Logger) { l.With("to", "bob@example.org").Info("x") },
		"in group": func(l *slog.Logger) { l.WithGroup("g").With("to", "bob@example.org").Info("x") },
		"struct":   func(l *slog.Logger) { l.Info("x", "who", struct{ Email string }{"bob@example.org"}) },
		"list":     func(l *slog.Logger) { l.Info("x", "who", []string{"bob@example.org", "bob@example.org"}) },
		"valuer":   func(l *slog.Logger) { l.Info("x", "who", person{"bob@example.org"}) },
		"marshals": func(l *slog.Logger) { l.Info("x", "who", marshals{}) },
		"key":      func(l *slog.Logger) { l.Info("x", "bob@example.org", 1) },
		"quoted":   func(l *slog.Logger) { l.Info("x", "who", `"bob example.org"@example.org`) },
		"twice":    func(l *slog.Logger) { l.Info("x", "who", fmt.Sprintf("%q", `"bob bob"@example.org`)) },
		"literal":  func(l *slog.Logger) { l.Info("x", "who", "bob@[192.0.2.1]") },
		"international": func(l *slog.Logger) {
			l.Info("x", "who", "bob.δοκιμή@example.org")
		},
	} {
		for format, make := range map[string]func(*bytes.Buffer) slog.Handler{
			"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var b bytes.Buffer
			log(slog.New(Handler(make(&b))))
			if got := b.String(); strings.Contains(got, "@") || strings.Contains(got, "bob") || strings.Contains(got, "example.org") || strings.Contains(got, "192.0.2.1") {
				t.Errorf("%s, %s: %s", name, format, got)
			}
		}
	}
}

// One person is one number, another is another, and the next program's numbers are others.
func TestNumbers(t *testing.T) {
	number := func(h slog.Handler, s string) string { return h.(*handler).text(s) }
	a, b := Handler(slog.DiscardHandler), Handler(slog.DiscardHandler)
	if x, y := number(a, "bob@example.org"), number(a, "Bob@Example.ORG."); x != y {
		t.Errorf("one person is %s and %s", x, y)
	}
	if x, y := number(a, "bob@example.org"), number(a, "eve@example.org"); x == y {
		t.Errorf("two are %s", x)
	}
	if x, y := number(a, "bob@example.org"), number(b, "bob@example.org"); x == y {
		t.Errorf("two programs say %s", x)
	}
	if got := number(a, "at 10:00, 550 5.1.1 <bob@example.org>: unknown"); !regexp.MustCompile(`^at 10:00, 550 5\.1\.1 <address-[0-9a-f]{8}>: unknown$`).MatchString(got) {
		t.Errorf("the words around are gone: %s", got)
	}
	if got := number(a, "nothing here"); got != "nothing here" {
		t.Errorf("%s", got)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"a@b", `"a b"@c`, `\"a\"@b`, "@", "a@@b", "<a@b>,c@d", "a@[::1]", "=?utf-8?q?a=40b?=", "a\x00@\xff"} {
		f.Add(s)
	}
	h := Handler(slog.DiscardHandler).(*handler)
	f.Fuzz(func(t *testing.T, s string) {
		if got := h.text(s); strings.Contains(got, "@") {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}
