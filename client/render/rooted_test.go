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
