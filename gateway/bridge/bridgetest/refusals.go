//go:build !js

package bridgetest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/wire"
)

func handshakes(t *testing.T, p Place) {
	url := p.Start(t, Setup{Origins: []string{"https://mail.example.com"}})
	offered := []string{wire.Subprotocol}
	for name, test := range map[string]struct {
		header http.Header
		offers []string
		status int
	}{
		"no origin":      {nil, offered, http.StatusSwitchingProtocols},
		"our own origin": {http.Header{"Origin": {url}}, offered, http.StatusSwitchingProtocols},
		"one we know":    {http.Header{"Origin": {"https://mail.example.com"}}, offered, http.StatusSwitchingProtocols},
		"cross-site":     {http.Header{"Origin": {"https://evil.example"}}, offered, http.StatusForbidden},
		"almost ours":    {http.Header{"Origin": {"https://mail.example.com.evil.example"}}, offered, http.StatusForbidden},
		"null":           {http.Header{"Origin": {"null"}}, offered, http.StatusForbidden},
		"no subprotocol": {nil, nil, http.StatusBadRequest},
		"another":        {nil, []string{"postern.v2"}, http.StatusBadRequest},
	} {
		ws, answer, err := websocket.Dial(t.Context(), url+wire.Path, &websocket.DialOptions{
			Subprotocols: test.offers, HTTPHeader: test.header, CompressionMode: websocket.CompressionContextTakeover, // as browsers offer it
		})
		if answer == nil || answer.StatusCode != test.status {
			t.Errorf("%s: %v, %v; want %d", name, answer, err, test.status)
		}
		if err == nil {
			if ws.Subprotocol() != wire.Subprotocol {
				t.Errorf("%s: subprotocol %q", name, ws.Subprotocol())
			}
			if s := answer.Header.Get("Sec-WebSocket-Extensions"); s != "" {
				t.Errorf("%s: extensions %q", name, s)
			}
			_ = ws.CloseNow()
		}
	}
	answer, err := http.Get(url + wire.Path)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("a plain request: %d", answer.StatusCode)
	}
}

func reason(err error) wire.Reason {
	var no *wire.RefusedError
	if errors.As(err, &no) {
		return no.Reason
	}
	return ""
}

func tokens(t *testing.T, p Place) {
	address := server(t, echo)
	url := p.Start(t, Setup{Allow: []string{address}})
	for _, test := range []struct {
		token string
		want  wire.Reason
	}{{Token, ""}, {Token + "!", wire.BadToken}, {"", wire.BadToken}} {
		if _, err := dial(t, url, test.token, nil); reason(err) != test.want || (err == nil) != (test.want == "") {
			t.Errorf("%q: %v", test.token, err)
		}
	}
}

func targets(t *testing.T, p Place) {
	address := server(t, echo)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	closed := unused(t)
	url := p.Start(t, Setup{Allow: []string{address, "localhost:" + port, "*.example.com:995", closed}})
	c := session(t, url)
	local, dead := target(t, address), target(t, closed)
	for _, test := range []struct {
		open wire.Open
		want wire.Reason
	}{
		{local, ""},
		{dead, wire.Unreachable},
		{wire.Open{Service: wire.POP3, Host: local.Host, Port: dead.Port + 1}, wire.Denied},
		{wire.Open{Service: wire.POP3, Host: "127.0.0.2", Port: local.Port}, wire.Denied},
		{wire.Open{Service: wire.POP3, Host: "::1", Port: local.Port}, wire.Denied},
		{wire.Open{Service: wire.POP3, Host: "::ffff:127.0.0.2", Port: local.Port}, wire.Denied},
		{wire.Open{Service: wire.POP3, Host: "64:ff9b::7f00:1", Port: local.Port}, wire.Denied},
		{wire.Open{Service: wire.POP3, Host: "mail.example.net", Port: 995}, wire.Denied},
		{wire.Open{Service: wire.POP3, Host: "mail.example.com", Port: 22}, wire.Denied},
		{wire.Open{Service: wire.POP3, Host: "example.com", Port: 995}, wire.Denied},
		{wire.Open{Service: wire.POP3}, wire.Denied},
	} {
		stream, err := c.Open(t.Context(), test.open)
		if reason(err) != test.want || (err == nil) != (test.want == "") {
			t.Errorf("%v: %v, want %q", test.open, err, test.want)
		}
		if err == nil {
			_ = stream.Close()
		}
	}
	if has := strings.Join(c.Welcome().Capabilities, " "); strings.Contains(has, wire.CapDiscover) != p.Looks {
		t.Errorf("the gateway says that it can %q", has)
	}
}

// unused is an address where nobody listens.
func unused(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

func brokenClients(t *testing.T, p Place) {
	address := server(t, echo)
	url := p.Start(t, Setup{Allow: []string{address}})
	good := open(t, session(t, url).Session, address)
	garbage := make([]byte, 32<<10)
	for i := range garbage {
		garbage[i] = byte(i*7 + 1)
	}
	for name, test := range map[string]struct {
		kind    websocket.MessageType
		message []byte
		code    websocket.StatusCode
	}{
		"garbage":        {websocket.MessageBinary, garbage, websocket.StatusNormalClosure},
		"a text":         {websocket.MessageText, []byte("hello"), websocket.StatusUnsupportedData},
		"a long message": {websocket.MessageBinary, make([]byte, 200<<10), websocket.StatusMessageTooBig},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		ws, _, err := websocket.Dial(ctx, url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		if err != nil {
			t.Fatal(err)
		}
		_ = ws.Write(ctx, test.kind, test.message)
		for err = nil; err == nil; {
			_, _, err = ws.Read(ctx)
		}
		if code := websocket.CloseStatus(err); code != test.code {
			t.Errorf("%s: closed with %d, want %d (%v)", name, code, test.code, err)
		}
		_ = ws.CloseNow()
		cancel()
		_, _ = io.WriteString(good, "still here")
		if _, err := io.ReadFull(good, make([]byte, 10)); err != nil {
			t.Fatalf("%s: the other session: %v", name, err)
		}
	}
}
