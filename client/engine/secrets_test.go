package engine

import (
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
)

var base64Line = regexp.MustCompile(`^[A-Za-z0-9+/]{12,}={0,2}$`)

// proofIn is what a line of a client's has of a secret, whatever it is made into.
func proofIn(words []string) (string, bool) {
	switch {
	case len(words) == 1:
		return words[0], base64Line.MatchString(words[0]) // a response
	case len(words) == 3 && (words[0] == "AUTH" || words[0] == "APOP"):
		return words[2], true
	case len(words) > 1 && words[0] == "PASS":
		return strings.Join(words[1:], " "), true
	}
	return "", false
}

// Nothing that a client says in any mechanism to prove who it is gets into the transcript: neither the password nor what
// is made of it.
func TestNoProofInTheTranscript(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "USER", "APOP"} {
		t.Run(mechanism, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p := newProvider(w, dora)
				p.pop.APOP, p.pop.Mechanisms, p.post.Mechanisms = "<1.2@pop.example.org>", []string{mechanism}, []string{mechanism}
				servers := atExample(p)
				servers.POP3.Auth, servers.SMTP.Auth = mechanism, mechanism
				if mechanism == "USER" || mechanism == "APOP" {
					p.pop.Mechanisms, p.post.Mechanisms, servers.SMTP.Auth = nil, nil, ""
				}
				var conversation strings.Builder
				var mu sync.Mutex
				listen := func(s mailtest.Server) mailtest.Server {
					heard := make(chan string, 1)
					return mailtest.ServerFunc(func(c net.Conn) {
						overhear(s, heard).ServeConn(c)
						mu.Lock()
						defer mu.Unlock()
						conversation.WriteString(<-heard)
					})
				}
				w.gateway.serveAt("pop.example.org:995", listen(p.pop), p.tls)
				w.gateway.serveAt("smtp.example.org:465", listen(p.post), p.tls)
				a := w.signInAt(api.SignIn{Email: dora, Password: doraPW, Servers: servers})
				id := w.send(api.Draft{Account: a.ID, To: to(alice), Subject: "s"})
				synctest.Wait()
				if r := w.row(a.ID, id); r.State != api.StateSent {
					t.Fatalf("row %+v", r)
				}
				page := w.transcript(api.WireQuery{Account: a.ID})
				text := said(page.Lines)
				w.halt() // every conversation has ended
				w.start()
				mu.Lock()
				defer mu.Unlock()
				proofs := 0
				for line := range strings.Lines(conversation.String()) {
					proof, ok := proofIn(strings.Fields(line))
					if !ok {
						continue
					}
					proofs++
					if strings.Contains(text, proof) {
						t.Errorf("%q, which the client said, is in the transcript:\n%s", proof, text)
					}
				}
				if proofs < 2 { // one to each server at least
					t.Errorf("%d proofs were heard in\n%s", proofs, conversation.String())
				}
				if strings.Contains(text, doraPW) || !strings.Contains(text, "****") {
					t.Errorf("transcript:\n%s", text)
				}
			})
		})
	}
}
