package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/pop3"
)

// A server that names its messages anew at each look, and gives none, fills neither the memory nor the log.
func TestRefusalsWithoutEnd(t *testing.T) {
	const messages, looks = 200, 3
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		look, told := 0, 0
		for i := range messages {
			w.pop.Maildrop[alice].Deliver(letter(fmt.Sprint(i), "text"))
		}
		w.pop.UID = func(_ int, uid string) string { return fmt.Sprintf("%d-%s", look, uid) }
		w.pop.Fault = func(stage string, _ int) *mailtest.POP3Fault {
			if stage == "RETR" {
				return &mailtest.POP3Fault{Answer: "-ERR no\r\n"}
			}
			return nil
		}
		c := w.config()
		c.Logf = func(format string, args ...any) {
			if strings.Contains(fmt.Sprintf(format, args...), "RETR") {
				told++
			}
		}
		e, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		w.runEngine(e)
		w.gateway.serve("pop3s", w.pop)
		w.signIn(alice)
		synctest.Wait()
		a, err := e.account(accountID(alice))
		if err != nil {
			t.Fatal(err)
		}
		a.pauseFetching()
		defer w.halt()

		trouble := trouble{foreign: map[string]bool{"of long ago": true}}
		told = 0
		for look = range looks {
			session, err := a.openMaildrop(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			f := &fetch{account: a, session: session, settings: a.settings(), trouble: &trouble}
			if err := f.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := session.Quit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(trouble.stumbles) + len(trouble.foreign); n != messages {
			t.Errorf("%d names are remembered, of %d messages", n, messages)
		}
		if told == 0 || told > looks*mostGrumbles {
			t.Errorf("%d lines in the log", told)
		}
	})
}

// What is there still is not forgotten, by whatever name it goes.
func TestTroubleWithWhatIsThere(t *testing.T) {
	var x trouble
	named, numbered := spot{Listing: pop3.Listing{Number: 1, Size: 10}, uid: "a"}, spot{Listing: pop3.Listing{Number: 2, Size: 20}}
	x.stumbled(&named)
	x.tooLarge(&numbered)
	note(&x.foreign, "b", true)
	note(&x.foreign, "gone", true)
	note(&x.stumbles, "gone", 1)
	x.forget(map[string]bool{"b": true}, [][]spot{{named}, {numbered}})
	if len(x.stumbles) != 1 || !x.large[numbered.name()] || len(x.foreign) != 1 || !x.foreign["b"] {
		t.Errorf("%+v", x)
	}
}
