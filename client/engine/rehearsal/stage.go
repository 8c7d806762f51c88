package rehearsal

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/client/engine"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// host is where nobody is (RFC 2606 section 2).
const host = "rehearsal.invalid"

// A slice of messages, and then a pause for the browser's other work.
const (
	slice = 12
	pause = time.Millisecond // browsers make it four
)

// octets is about what a message has.
const octets = 2000

// stage is a gateway with two servers behind it that know their lines and nothing else.
type stage struct {
	count   int
	served  sync.WaitGroup
	fetched chan struct{} // closed when a session that fetched has said QUIT
	once    sync.Once
}

var _ engine.Gateway = (*stage)(nil)

func newStage(count int) *stage { return &stage{count: count, fetched: make(chan struct{})} }

func (s *stage) State() tunnel.State {
	return tunnel.State{Phase: tunnel.Online, Welcome: &wire.Welcome{Version: wire.Version}}
}

func (s *stage) Subscribe(func(tunnel.State)) (cancel func()) { return func() {} }

func (s *stage) Present(string) {}

func (s *stage) Kick() {}

func (s *stage) Open(_ context.Context, o wire.Open) (net.Conn, error) {
	client, server := net.Pipe()
	say := s.submission
	greeting := "220 ready\r\n"
	if o.Service == wire.POP3 {
		say, greeting = s.maildrop, "+OK ready\r\n"
	}
	s.served.Go(func() {
		defer server.Close()
		out := bufio.NewWriterSize(server, 32<<10)
		out.WriteString(greeting)
		lines := bufio.NewReader(server)
		for {
			if lines.Buffered() == 0 && out.Flush() != nil {
				return
			}
			line, err := lines.ReadString('\n')
			if err != nil || !say(out, strings.Fields(line)) {
				out.Flush()
				return
			}
		}
	})
	return client, nil
}

// wait returns when no server is left. Their clients must have closed.
func (s *stage) wait() { s.served.Wait() }

// submission answers one line, and says whether to go on.
func (s *stage) submission(out *bufio.Writer, words []string) bool {
	switch verb(words) {
	case "EHLO":
		out.WriteString("250-" + host + "\r\n250 AUTH PLAIN\r\n")
	case "AUTH":
		out.WriteString("235 2.7.0 you are\r\n")
	case "QUIT":
		out.WriteString("221 2.0.0 goodbye\r\n")
		return false
	default:
		out.WriteString("250 2.0.0 yes\r\n")
	}
	return true
}

// maildrop answers one line, and says whether to go on.
func (s *stage) maildrop(out *bufio.Writer, words []string) bool {
	switch verb(words) {
	case "CAPA":
		out.WriteString("+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\nSASL PLAIN\r\n.\r\n")
	case "STAT":
		fmt.Fprintf(out, "+OK %d %d\r\n", s.count, s.count*octets)
	case "UIDL":
		out.WriteString("+OK\r\n")
		for i := range s.count {
			fmt.Fprintf(out, "%d uid-%d\r\n", i+1, i+1)
		}
		out.WriteString(".\r\n")
	case "LIST":
		out.WriteString("+OK\r\n")
		for i := range s.count {
			fmt.Fprintf(out, "%d %d\r\n", i+1, octets)
		}
		out.WriteString(".\r\n")
	case "RETR":
		n := 0
		fmt.Sscan(words[len(words)-1], &n)
		out.WriteString("+OK\r\n")
		writeMessage(out, n)
		out.WriteString(".\r\n")
		if n%slice == 0 {
			time.Sleep(pause)
		}
	case "QUIT":
		out.WriteString("+OK\r\n")
		s.once.Do(func() { close(s.fetched) })
		return false
	default:
		out.WriteString("+OK\r\n")
	}
	return true
}

func verb(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return strings.ToUpper(words[0])
}

// writeMessage writes one of some kinds of message, no two the same. None of their lines begins with a dot.
func writeMessage(w io.Writer, n int) {
	fmt.Fprintf(w, "Received: from there.%s by here.%s; Thu, 26 Nov 2026 10:%02d:%02d +0100\r\n"+
		"From: =?utf-8?Q?N=C3=B3?= Body <nobody-%d@%s>\r\nTo: \"Body, Some\" <some@%s>, any@%s\r\nCc: no.one@%s\r\n"+
		"Subject: =?utf-8?B?w4k=?= number %d of many\r\nDate: Thu, 26 Nov 2026 10:%02d:%02d +0100\r\n"+
		"Message-ID: <%d@%s>\r\nIn-Reply-To: <%d@%s>\r\nReferences: <1@%s> <%d@%s>\r\nMIME-Version: 1.0\r\n",
		host, host, n/60%60, n%60, n%40, host, host, host, host, n, n/60%60, n%60, n, host, n-1, host, host, n-1, host)
	text := strings.Repeat("Words upon words, and a quoted =C3=A9 among them, as most letters have.\r\n", 12)
	html := "<html><head><style>p { margin: 0 }</style></head><body>" + strings.Repeat("<p>Words <b>upon</b> words &amp; tags.</p>\r\n", 12) + "</body></html>\r\n"
	switch n % 4 {
	case 0:
		io.WriteString(w, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"+text)
	case 1:
		io.WriteString(w, "Content-Type: multipart/alternative; boundary=\"edge\"\r\n\r\n--edge\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"+
			text+"\r\n--edge\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"+html+"\r\n--edge--\r\n")
	case 2:
		io.WriteString(w, "Content-Type: text/html; charset=utf-8\r\n\r\n"+html)
	case 3:
		io.WriteString(w, "Content-Type: multipart/mixed; boundary=\"edge\"\r\n\r\n--edge\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"+strings.ReplaceAll(text, "=C3=A9", "e")+
			"\r\n--edge\r\nContent-Type: application/pdf; name=\"paper.pdf\"\r\nContent-Disposition: attachment; filename=\"paper.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"+
			strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAx\r\n", 10)+"\r\n--edge--\r\n")
	}
}
