package render

import (
	"strings"
	"testing"

	"github.com/vugu/vugu"
)

func below(path string) string { return "/mail/" + strings.TrimPrefix(path, "/") }

func TestRooted(t *testing.T) {
	for _, c := range []struct{ key, val, want string }{
		{"href", "/icons.svg#x", "/mail/icons.svg#x"},
		{"src", "/frame.html", "/mail/frame.html"},
		{"href", "/", "/mail/"},
		{"href", "https://example.org/", "https://example.org/"},
		{"href", "//example.org/", "//example.org/"},
		{"href", "#top", "#top"},
		{"title", "/etc", "/etc"},
	} {
		a := vugu.VGAttribute{Key: c.key, Val: c.val}
		if got := rooted(a, below); got != c.want {
			t.Errorf("%s=%q: %q, want %q", c.key, c.val, got, c.want)
		}
		if got := rooted(a, nil); got != c.val {
			t.Errorf("at the root %s=%q: %q", c.key, c.val, got)
		}
	}
}

func TestRootedHTML(t *testing.T) {
	for html, want := range map[string]string{
		`<use href="/icons.svg#a"></use><img alt="" src="/x.svg"> <a href="/in">`: `<use href="/mail/icons.svg#a"></use><img alt="" src="/mail/x.svg"> <a href="/mail/in">`,
		`<a href="https://a.example/">`:                                           `<a href="https://a.example/">`,
		`<a href="//a.example/">`:                                                 `<a href="//a.example/">`,
		`text with href=&#34;/x&#34; in it`:                                       `text with href=&#34;/x&#34; in it`,
		`<a href="/unended`:                                                       `<a href="/unended`,
		"plain":                                                                   "plain",
	} {
		if got := rootedHTML(html, below); got != want {
			t.Errorf("%s: %s", html, got)
		}
		if got := rootedHTML(html, func(p string) string { return p }); got != html {
			t.Errorf("at the root: %s", got)
		}
	}
}
