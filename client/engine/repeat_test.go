package engine

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/client/api"
)

// Whenever and however a server repeats the password, it is not in the transcript: within the base64 of PLAIN, in talk of mail, and
// where a long line is cut.
func TestNoTranscriptHasTheSecret(t *testing.T) {
	for i := range 3 {
		user := strings.Repeat("u", i+1)
		synctest.Test(t, func(t *testing.T) {
			log := newWireLog(&account{e: &Engine{Config: Config{}.withDefaults()}})
			r := log.begin(api.POP3, "x:1")
			r.conceal(alicePW)
			plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + alicePW))
			r.take(api.ServerSays, "AUTHORIZATION", "-ERR what is "+plain+"?")
			r.take(api.ServerSays, "AUTHORIZATION", strings.Repeat("x", lineOctets-len(alicePW)+1)+alicePW)
			r.take(api.ServerSays, "TRANSACTION", "+OK welcome")
			r.take(api.ServerSays, "TRANSACTION", "-ERR "+alicePW+" has too much mail")
			p, err := log.query(t.Context(), api.WireQuery{})
			if err != nil || len(p.Lines) != 5 {
				t.Fatalf("%v, %v", p, err)
			}
			text := said(p.Lines)
			for _, secret := range []string{plain, alicePW, alicePW[:len(alicePW)-1]} {
				if strings.Contains(text, secret) {
					t.Errorf("%q in\n%s", secret, text)
				}
			}
			if _, after, ok := strings.Cut(text, "what is "); ok {
				hidden, _, _ := strings.Cut(after, "?")
				decoded, _ := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.ReplaceAll(hidden, "****", ""), "="))
				if strings.Contains(string(decoded), alicePW[1:len(alicePW)-1]) || !strings.Contains(hidden, "****") {
					t.Errorf("%q is %q", hidden, decoded)
				}
			}
		})
	}
}

// Nor does it get into the problem that is shown and saved, or into the log.
func TestNoProblemHasTheSecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		said := fmt.Errorf("-ERR [SYS/TEMP] no room for %s", alicePW)
		a := newAccount(w.Engine, record{ID: accountID(alice), Email: alice})
		l := a.login(alicePW)
		rec := l.begin(api.POP3, endpoint{address: "x:1"})
		err := l.failed(api.POP3, rec, said)
		p := problemOf(err)
		if all := err.Error() + p.Technical + p.Detail; strings.Contains(all, alicePW) || !strings.Contains(all, "no room for ****") {
			t.Errorf("%q, %+v", err, p)
		}
	})
}
