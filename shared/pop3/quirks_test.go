package pop3_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/pop3"
)

// What servers get wrong, and what becomes of it: the list is in the package's comment.

// Every capability of every RFC, in any case and order, with nonsense for figures.
func TestCapabilities(t *testing.T) {
	capa := func(lines ...string) *pop3.Capabilities {
		t.Helper()
		c := pop3.New(mailtest.Connect(t, talker("+OK\r\n", "+OK\r\n"+strings.Join(lines, "\r\n")+"\r\n.\r\n"), nil), nil)
		defer c.Close()
		caps, err := c.Capa(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		caps.Lines = nil
		return caps
	}
	got := capa("top", "USER", "sasl PLAIN Scram-Sha-256 "+strings.Repeat("X", 21), "RESP-CODES", "LOGIN-DELAY 900 USER", "PIPELINING", "EXPIRE 60 USER", "UIDL",
		"IMPLEMENTATION Shlemazle Plotz v302", "STLS", "AUTH-RESP-CODE", "UTF8 USER", "LANG", "X-POSTERN-WAIT", "X-UNKNOWN 1", "", " ")
	want := &pop3.Capabilities{Pipelining: true, STLS: true, Top: true, UIDL: true, User: true, RespCodes: true, AuthRespCode: true, UTF8: true, UTF8User: true,
		Langs: true, Wait: true, SASL: []string{"PLAIN", "SCRAM-SHA-256"}, LoginDelay: 15 * time.Minute, LoginDelayPerUser: true, Expire: 60, ExpirePerUser: true,
		Implementation: "Shlemazle Plotz v302"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	for line, want := range map[string]pop3.Capabilities{
		"EXPIRE NEVER":                    {Expire: pop3.ExpireNever},
		"expire never":                    {Expire: pop3.ExpireNever},
		"EXPIRE 0":                        {Expire: 0},
		"EXPIRE 14":                       {Expire: 14},
		"EXPIRE":                          {Expire: pop3.ExpireUnsaid},
		"EXPIRE -1":                       {Expire: pop3.ExpireUnsaid},
		"EXPIRE soon USER":                {Expire: pop3.ExpireUnsaid},
		"EXPIRE 99999999999999999999":     {Expire: pop3.ExpireUnsaid},
		"LOGIN-DELAY":                     {Expire: pop3.ExpireUnsaid},
		"LOGIN-DELAY -5":                  {Expire: pop3.ExpireUnsaid},
		"LOGIN-DELAY 9223372036854775807": {Expire: pop3.ExpireUnsaid},
		"LOGIN-DELAY 5":                   {Expire: pop3.ExpireUnsaid, LoginDelay: 5 * time.Second},
		"UTF8":                            {Expire: pop3.ExpireUnsaid, UTF8: true},
		"SASL":                            {Expire: pop3.ExpireUnsaid},
	} {
		if got := capa(line); !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, want %+v", line, *got, want)
		}
	}
}

// Unique-ids that are missing or malformed cost their message its id, and nobody else anything.
func TestUniqueIDsMalformed(t *testing.T) {
	c := pop3.New(mailtest.Connect(t, talker("+OK\r\n", "+OK\r\n", "+OK\r\n",
		"+OK\r\n1 good\r\n2\r\n3 \r\n4 a b\r\n5 \xff\r\n6 a\x00b\r\n7 same\r\n8 same\r\nnonsense\r\n-9 x\r\n0 x\r\n99999999999 x\r\n\r\n..\r\n10 "+strings.Repeat("u", 70)+"\r\n.\r\n", "+OK\r\n"), nil), nil)
	if err := c.Login(t.Context(), "bob", "secret"); err != nil {
		t.Fatal(err)
	}
	got, err := c.UIDL(t.Context())
	want := []pop3.UniqueID{{1, "good"}, {2, ""}, {3, ""}, {4, ""}, {5, ""}, {6, ""}, {7, "same"}, {8, "same"}, {10, strings.Repeat("u", 70)}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if err := c.Noop(t.Context()); err != nil {
		t.Error(err)
	}
}

// Sizes and counts that are wrong in any way change nothing of what comes.
func TestSizesWrong(t *testing.T) {
	var messages [][]byte
	for i := range 60 {
		messages = append(messages, mailtest.Generator{}.Message(i))
	}
	for name, size := range map[string]func(int, int) int64{
		"all none": func(int, int) int64 { return 0 },
		"all huge": func(int, int) int64 { return 1 << 50 },
		"by turns": func(n, real int) int64 { return int64(n%3) * int64(real) << (n % 30) },
	} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.NewPOP3(messages...)
			server.Size = size
			server.Stat = func(count, octets int) string { return fmt.Sprint(count*7, " ", octets/2) }
			c := pop3.New(mailtest.Connect(t, server, nil), &pop3.Options{InFlightBytes: 10_000, InFlightCommands: 7})
			defer c.Close()
			if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
				t.Fatal(err)
			}
			if n, _, err := c.Stat(t.Context()); err != nil || n != 420 {
				t.Errorf("%d, %v", n, err)
			}
			list, err := c.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			list[5].Size, list[6].Size = math.MaxInt64, math.MinInt64 // a caller's own
			got := 0
			if err := c.RetrAll(t.Context(), list, func(n int, r io.Reader) error {
				content, err := io.ReadAll(r)
				if string(content) == string(messages[n-1]) {
					got++
				}
				return err
			}); err != nil || got != len(messages) {
				t.Errorf("%d messages, %v", got, err)
			}
		})
	}
}

// A server that drops the line after each third message has given those whole: the others come by the next sessions.
func TestDropsAfterSomeMessages(t *testing.T) {
	var messages [][]byte
	for i := range 10 {
		messages = append(messages, mailtest.Generator{}.Message(i))
	}
	server := mailtest.NewPOP3(messages...)
	server.Fault = func(stage string, nth int) *mailtest.POP3Fault {
		if stage == "RETR" && nth > 3 {
			return &mailtest.POP3Fault{Answer: "+OK\r\nhalf of", Cut: true}
		}
		return nil
	}
	whole := make(map[int]bool)
	for sessions := 1; len(whole) < len(messages); sessions++ {
		if sessions > 4 {
			t.Fatalf("%d messages after %d sessions", len(whole), sessions)
		}
		c := pop3.New(mailtest.Connect(t, server, nil), nil)
		err := c.Login(t.Context(), "bob", "bob-pw")
		for errors.As(err, new(*pop3.Error)) { // the session before has not been noticed to be over
			err = c.Login(t.Context(), "bob", "bob-pw")
		}
		list, err := c.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var missing []pop3.Listing
		for _, m := range list {
			if !whole[m.Number] {
				missing = append(missing, m)
			}
		}
		err = c.RetrAll(t.Context(), missing, func(n int, r io.Reader) error {
			content, err := io.ReadAll(r)
			if err == nil && string(content) != string(messages[n-1]) {
				t.Errorf("message %d is not whole", n)
			}
			whole[n] = whole[n] || err == nil
			return nil
		})
		if len(whole) < len(messages) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("session %d: %v", sessions, err)
		}
		c.Close()
	}
}

// QUIT that is not answered is not known to have done anything, whether the server did it or not; one that is refused is known.
func TestQuitUnconfirmed(t *testing.T) {
	for name, x := range map[string]struct {
		fault       mailtest.POP3Fault
		unconfirmed bool
		left        int
	}{
		"cut before it was done": {mailtest.POP3Fault{Cut: true}, true, 1},
		"cut after it was done":  {mailtest.POP3Fault{Cut: true, Accept: true}, true, 0},
		"nonsense":               {mailtest.POP3Fault{Answer: "what?\r\n", Cut: true, Accept: true}, true, 0},
		"half an answer":         {mailtest.POP3Fault{Answer: "+OK", Cut: true, Accept: true}, true, 0},
		"stalled":                {mailtest.POP3Fault{Stall: true, Accept: true}, true, 0},
		"refused":                {mailtest.POP3Fault{Answer: "-ERR some messages not removed\r\n", Cut: true}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.NewPOP3([]byte("Subject: 1\r\n\r\n"))
			server.Fault = func(stage string, _ int) *mailtest.POP3Fault {
				if stage == "QUIT" {
					return &x.fault
				}
				return nil
			}
			c := pop3.New(mailtest.Connect(t, server, nil), &pop3.Options{Timeout: time.Second})
			if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
				t.Fatal(err)
			}
			if err := c.Dele(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			err := c.Quit(t.Context())
			var refused *pop3.Error
			if errors.Is(err, pop3.ErrUnconfirmed) != x.unconfirmed || errors.As(err, &refused) == x.unconfirmed || c.State() != pop3.Closed {
				t.Errorf("%v, state %v", err, c.State())
			}
			if left := len(server.Maildrop["bob"].Contents()); left != x.left {
				t.Errorf("%d messages are left", left)
			}
		})
	}
	// Said nothing, so nothing is unconfirmed.
	c := pop3.New(mailtest.Connect(t, talker("+OK\r\n", "+OK\r\n", "+OK\r\n+OK unasked\r\n"), nil), nil)
	if err := c.Login(t.Context(), "bob", "secret"); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(t.Context()); !errors.Is(err, pop3.ErrProtocol) || errors.Is(err, pop3.ErrUnconfirmed) {
		t.Errorf("not said: %v", err)
	}
}

// UTF8 comes before a message whose header needs it, and after STLS.
func TestUTF8(t *testing.T) {
	server := mailtest.NewPOP3([]byte("Subject: Gr\u00fc\u00dfe\r\n\r\n"))
	server.UTF8 = true
	c := pop3.New(mailtest.Connect(t, server, nil), nil)
	if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
		t.Fatal(err)
	}
	var refused *pop3.Error
	if _, err := c.Retr(t.Context(), 1, io.Discard); !errors.As(err, &refused) || refused.Code != "UTF8" || refused.Explain() == "" {
		t.Errorf("without UTF8: %v", err)
	}
	if err := c.Quit(t.Context()); err != nil {
		t.Fatal(err)
	}
	c = pop3.New(mailtest.Connect(t, server, nil), &pop3.Options{AllowPlaintextAuth: true})
	if _, err := c.Auth(t.Context(), bob, ""); err != nil { // which says it by itself
		t.Fatal(err)
	}
	var got strings.Builder
	if _, err := c.Retr(t.Context(), 1, &got); err != nil || !strings.Contains(got.String(), "Gr\u00fc\u00dfe") {
		t.Errorf("%q, %v", got.String(), err)
	}
	c = pop3.New(mailtest.Connect(t, talker("+OK\r\n", "+OK\r\n"), nil), nil)
	if err := c.UTF8(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.STLS(t.Context(), nil); !errors.Is(err, pop3.ErrState) {
		t.Errorf("STLS after UTF8: %v", err)
	}
	for _, tag := range []string{"", "e n", "en\r\nDELE 1", "fran\u00e7ais", strings.Repeat("e", 101)} {
		if err := c.Lang(t.Context(), tag); !errors.Is(err, pop3.ErrArgument) {
			t.Errorf("LANG %q: %v", tag, err)
		}
	}
}

// What a code means is said in a sentence, by its first part if the whole is not known, and nothing is made up.
func TestExplain(t *testing.T) {
	said := make(map[string]string)
	for _, code := range []string{"IN-USE", "LOGIN-DELAY", "SYS/TEMP", "SYS/PERM", "AUTH", "UTF8", "SYS/NEW", "AUTH/NEW"} {
		text := (&pop3.Error{Code: code}).Explain()
		if !strings.HasSuffix(text, ".") || said[text] != "" {
			t.Errorf("%s: %q, as %s", code, text, said[text])
		}
		said[text] = code
	}
	for _, code := range []string{"", "X-OTHER", "SYSTEM", "IN-USE/X"} {
		if text := (&pop3.Error{Code: code}).Explain(); text != "" {
			t.Errorf("%s: %q", code, text)
		}
	}
}

// Heads and marks refuse arguments that make no command.
func TestAheadArguments(t *testing.T) {
	c := pop3.New(mailtest.Connect(t, talker("+OK\r\n"), nil), nil)
	defer c.Close()
	one := []pop3.Listing{{Number: 1}}
	for i, err := range []error{
		c.TopAll(t.Context(), one, -1, nil), c.TopAll(t.Context(), []pop3.Listing{{}}, 0, nil), c.DeleAll(t.Context(), []int{1, 0}, nil),
	} {
		if !errors.Is(err, pop3.ErrArgument) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := c.TopAll(t.Context(), one, 0, nil); !errors.Is(err, pop3.ErrState) {
		t.Errorf("TOP in AUTHORIZATION: %v", err)
	}
	if err := c.DeleAll(t.Context(), []int{1}, nil); !errors.Is(err, pop3.ErrState) {
		t.Errorf("DELE in AUTHORIZATION: %v", err)
	}
}
