package web

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Browsers are led to https at the name they asked for, and to no other, whatever the path looks like.
func TestToHTTPS(t *testing.T) {
	for _, test := range []struct{ target, host, port, want string }{
		{"/", "mail.example", "443", "https://mail.example/"},
		{"/inbox/42?a=b&c", "mail.example:80", "443", "https://mail.example/inbox/42?a=b&c"},
		{"/", "mail.example:8080", "8443", "https://mail.example:8443/"},
		{"/a%20b", "mail.example", "443", "https://mail.example/a%20b"},
		{"/x", "[2001:db8::1]:80", "443", "https://[2001:db8::1]/x"},
		{"/x", "[2001:db8::1]", "8443", "https://[2001:db8::1]:8443/x"},
		{"//evil.example/x", "mail.example", "443", "https://mail.example/evil.example/x"},
		{"///evil.example", "mail.example", "443", "https://mail.example/evil.example"},
		{"/%2f/evil.example", "mail.example", "443", "https://mail.example/%2f/evil.example"},
		{"/\\evil.example", "mail.example", "443", "https://mail.example/%5Cevil.example"},
		{"/@evil.example", "mail.example", "443", "https://mail.example/@evil.example"},
		{"/", "evil.example/mail.example", "443", ""},
		{"/", "mail.example@evil.example", "443", ""},
		{"/", "", "443", ""},
		{"/", "mail.example?x", "443", ""},
		{"/", "mail.example#x", "443", ""},
		{"/", "mail example", "443", ""},
		{"/", "mail.example\r\nX: y", "443", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		var err error
		if r.URL, err = url.ParseRequestURI(test.target); err != nil {
			t.Fatal(err)
		}
		r.Host = test.host
		w := httptest.NewRecorder()
		ToHTTPS(test.port).ServeHTTP(w, r)
		if got := w.Header().Get("Location"); got != test.want || (w.Code == http.StatusBadRequest) != (test.want == "") {
			t.Errorf("%q of %q: %d %q, want %q", test.target, test.host, w.Code, got, test.want)
		}
	}
}

// The same for whatever a client may send: the browser's next request is for the same name.
func TestToHTTPSLeadsNowhereElse(t *testing.T) {
	server := httptest.NewServer(ToHTTPS("443"))
	defer server.Close()
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.StringOfN(rapid.RuneFrom([]rune(`/\@:.?#%25eviltab;&=`)), 0, 40, -1).Draw(t, "path")
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET /"+path+" HTTP/1.1\r\nHost: mail.example\r\nConnection: close\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		to := answer.Header.Get("Location")
		if answer.StatusCode == http.StatusBadRequest && to == "" {
			return
		}
		// As a browser reads it: a backslash is a slash there.
		to, _, _ = strings.Cut(to, "?")
		rest, ok := strings.CutPrefix(strings.ReplaceAll(to, `\`, "/"), "https://mail.example/")
		if u, err := url.Parse(to); !ok || strings.HasPrefix(rest, "/") || err != nil || u.Host != "mail.example" || u.User != nil {
			t.Errorf("/%s leads to %q", path, to)
		}
	})
}
