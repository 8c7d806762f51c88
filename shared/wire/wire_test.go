package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	hello   = wire.Hello{Version: 1, Client: "postern 1.0 «test»", Token: `a "token" \o/`, Capabilities: []string{"x", "y.2-z"}}
	welcome = wire.Welcome{
		Version: 1, Server: "postern <1.0>", Session: "abc", Capabilities: []string{"x"},
		Embedded: &wire.Embedded{
			Hostname: "mail.postern.test", Domains: []string{"postern.test", "xn--bcher-kva.example"},
			Services:    []wire.Service{{Name: wire.POP3, Port: 2110}, {Name: wire.Submission, Port: 2587}},
			Fingerprint: strings.Repeat("0123456789abcdef", 4),
			Demo:        []wire.DemoAccount{{Name: "Alice", Email: "alice@postern.test", Password: "a & b"}},
		},
		Limits: wire.Limits{Streams: 64, IdleSeconds: 2100},
	}
	// two has a server beside the first.
	two = func() wire.Welcome {
		w := welcome
		w.Beside = []wire.Embedded{{Hostname: "mail.elsewhere.test", Domains: []string{"elsewhere.test"}, Services: []wire.Service{{Name: wire.POP3, Port: 3110}}, Fingerprint: strings.Repeat("f", 64)}}
		return w
	}()
	opens = []wire.Open{
		{Service: wire.POP3},
		{Service: wire.POP3, Server: "mail.elsewhere.test"},
		{Service: "imaps", Host: "imap.example.com", Port: 993},
		{Service: wire.SMTP, Host: "2001:db8::1", Port: 65535},
		{Service: wire.SMTP, Host: "192.0.2.1", Port: 1},
		{Service: wire.SMTP, Host: "mail_1", Port: 25},
		{Service: wire.FTPData, Control: 1<<32 - 1, Port: 50123},
	}
	refused = &wire.RefusedError{Reason: wire.Denied, Detail: "the policy: 日本"}
	notice  = wire.Notice{Kind: wire.NoticeDraining, Detail: "in an hour"}
)

// roundTrip writes and reads, and checks that the reader takes its frame and not a byte more.
func roundTrip[T any](t *testing.T, v T, write func(io.Writer, T) error, read func(io.Reader) (T, error)) {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, v); err != nil {
		t.Fatalf("%+v: %v", v, err)
	}
	b.WriteString("payload")
	got, err := read(iotest.OneByteReader(&b))
	if diff := cmp.Diff(v, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if b.String() != "payload" {
		t.Errorf("the reader left %q", b.String())
	}
}

func TestRoundTrips(t *testing.T) {
	roundTrip(t, hello, wire.WriteHello, wire.ReadHello)
	roundTrip(t, wire.Hello{Version: 7}, wire.WriteHello, wire.ReadHello)
	roundTrip(t, welcome, wire.WriteWelcome, wire.ReadWelcome)
	roundTrip(t, two, wire.WriteWelcome, wire.ReadWelcome)
	roundTrip(t, wire.Welcome{Version: 1}, wire.WriteWelcome, wire.ReadWelcome)
	for _, o := range opens {
		roundTrip(t, o, wire.WriteOpen, wire.ReadOpen)
	}
	roundTrip(t, notice, wire.WriteNotice, wire.ReadNotice)
	roundTrip(t, wire.Notice{Kind: wire.NoticeRefused, Stream: 5, Reason: wire.Idle, Detail: "for an hour"}, wire.WriteNotice, wire.ReadNotice)
	roundTrip(t, 0, func(w io.Writer, _ int) error { return wire.WriteOpened(w) }, func(r io.Reader) (int, error) { return 0, wire.ReadOpened(r) })
}

func TestRefusalIsATypedError(t *testing.T) {
	for name, read := range map[string]func(io.Reader) error{
		"welcome": func(r io.Reader) error { _, err := wire.ReadWelcome(r); return err },
		"opened":  wire.ReadOpened,
	} {
		var b bytes.Buffer
		if err := wire.WriteRefused(&b, refused); err != nil {
			t.Fatal(err)
		}
		var got *wire.RefusedError
		if err := read(&b); !errors.As(err, &got) || *got != *refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A foreign error's text is made fit to send.
func TestRefusalDetailIsMadeFit(t *testing.T) {
	for in, want := range map[string]string{
		"two\r\nlines\x00":          "two  lines ",
		"not \xff UTF-8":            "not \uFFFD UTF-8",
		strings.Repeat("é", 400):    strings.Repeat("é", 256),
		strings.Repeat("x", 10_000): strings.Repeat("x", 512),
	} {
		var b bytes.Buffer
		if err := wire.WriteRefused(&b, &wire.RefusedError{Reason: wire.Unreachable, Detail: in}); err != nil {
			t.Fatal(err)
		}
		var got *wire.RefusedError
		if err := wire.ReadOpened(&b); !errors.As(err, &got) || got.Detail != want {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// frame is JSON with its prefix.
func frame(json string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(json))), json...)
}

func TestMalformed(t *testing.T) {
	readOpen := func(r io.Reader) error { _, err := wire.ReadOpen(r); return err }
	readHello := func(r io.Reader) error { _, err := wire.ReadHello(r); return err }
	readWelcome := func(r io.Reader) error { _, err := wire.ReadWelcome(r); return err }
	readNotice := func(r io.Reader) error { _, err := wire.ReadNotice(r); return err }
	for _, test := range []struct {
		name string
		read func(io.Reader) error
		in   []byte
		want error
	}{
		{"nothing", readOpen, nil, io.EOF},
		{"cut in the prefix", readOpen, []byte{0, 0}, io.ErrUnexpectedEOF},
		{"cut in the body", readOpen, frame(`{"open":{}}`)[:9], io.ErrUnexpectedEOF},
		{"cut after the prefix", readOpen, frame(`{"open":{}}`)[:4], io.ErrUnexpectedEOF},
		{"longer than allowed", readOpen, []byte{0, 0, 0x40, 1}, wire.ErrTooLong},
		{"much longer", readOpen, []byte{0xff, 0xff, 0xff, 0xff}, wire.ErrTooLong},
		{"empty", readOpen, frame(""), wire.ErrMalformed},
		{"no JSON", readOpen, frame("GET / HTTP/1.1\r\n"), wire.ErrMalformed},
		{"null", readNotice, frame("null"), wire.ErrMalformed},
		{"a list", readOpen, frame(`[{"open":{"service":"pop3"}}]`), wire.ErrMalformed},
		{"more behind", readOpen, frame(`{"open":{"service":"pop3"}}{}`), wire.ErrMalformed},
		{"not UTF-8", readOpen, frame("{\"open\":{\"service\":\"pop3\",\"x\":\"\xff\"}}"), wire.ErrMalformed},
		{"another frame", readOpen, frame(`{"hello":{"version":1}}`), wire.ErrMalformed},
		{"two frames", readOpen, frame(`{"hello":{"version":1},"open":{"service":"pop3"}}`), wire.ErrMalformed},
		{"a string for a number", readHello, frame(`{"hello":{"version":"1"}}`), wire.ErrMalformed},
		{"no version", readHello, frame(`{"hello":{}}`), wire.ErrMalformed},
		{"a negative version", readHello, frame(`{"hello":{"version":-1}}`), wire.ErrMalformed},
		{"a line break in the client's name", readHello, frame(`{"hello":{"version":1,"client":"a\nb"}}`), wire.ErrMalformed},
		{"an escape in the token", readHello, frame(`{"hello":{"version":1,"token":"\u001b[2J"}}`), wire.ErrMalformed},
		{"a text direction in the name", readHello, frame(`{"hello":{"version":1,"client":"\u202egpj"}}`), wire.ErrMalformed},
		{"half a surrogate is no error", readHello, frame(`{"hello":{"version":1,"client":"\ud800"}}`), nil},
		{"a capability with a space", readHello, frame(`{"hello":{"version":1,"capabilities":["a b"]}}`), wire.ErrMalformed},
		{"33 capabilities", readHello, frame(`{"hello":{"version":1,"capabilities":["a"` + strings.Repeat(`,"a"`, 32) + `]}}`), wire.ErrMalformed},
		{"a long token", readHello, frame(`{"hello":{"version":1,"token":"` + strings.Repeat("t", 513) + `"}}`), wire.ErrMalformed},
		{"no service", readOpen, frame(`{"open":{}}`), wire.ErrMalformed},
		{"a service in capitals", readOpen, frame(`{"open":{"service":"POP3"}}`), wire.ErrMalformed},
		{"a port without a host", readOpen, frame(`{"open":{"service":"pop3","port":110}}`), wire.ErrMalformed},
		{"a host without a port", readOpen, frame(`{"open":{"service":"pop3","host":"a.example"}}`), wire.ErrMalformed},
		{"a server with a host", readOpen, frame(`{"open":{"service":"pop3","server":"a.example","host":"a.example","port":110}}`), wire.ErrMalformed},
		{"a server with a port", readOpen, frame(`{"open":{"service":"pop3","server":"a.example","port":110}}`), wire.ErrMalformed},
		{"a server that is no name", readOpen, frame(`{"open":{"service":"pop3","server":"a b"}}`), wire.ErrMalformed},
		{"a port too high", readOpen, frame(`{"open":{"service":"pop3","host":"a.example","port":65536}}`), wire.ErrMalformed},
		{"a port below zero", readOpen, frame(`{"open":{"service":"pop3","host":"a.example","port":-1}}`), wire.ErrMalformed},
		{"a broken port", readOpen, frame(`{"open":{"service":"pop3","host":"a.example","port":1.5}}`), wire.ErrMalformed},
		{"a reason in words", readWelcome, frame(`{"refused":{"reason":"Go away"}}`), wire.ErrMalformed},
		{"a new reason", readWelcome, frame(`{"refused":{"reason":"full-moon"}}`), &wire.RefusedError{Reason: "full-moon"}},
		{"a fingerprint in capitals", readWelcome, frame(`{"welcome":{"version":1,"embedded":{"hostname":"a","fingerprint":"` + strings.Repeat("AB", 32) + `"}}}`), wire.ErrMalformed},
		{"an embedded server without a name", readWelcome, frame(`{"welcome":{"version":1,"embedded":{}}}`), wire.ErrMalformed},
		{"a server beside none", readWelcome, frame(`{"welcome":{"version":1,"beside":[{"hostname":"a"}]}}`), wire.ErrMalformed},
		{"a limit below zero", readWelcome, frame(`{"welcome":{"version":1,"limits":{"streams":-1}}}`), wire.ErrMalformed},
		{"fields of a later version", readHello, frame(`{"hello":{"version":1,"colour":"blue"},"later":1}`), nil},
		{"a frame of a later version among notices", readNotice, frame(`{"later":{"x":1}}`), nil},
		{"an open among notices", readNotice, frame(`{"open":{"service":"pop3"}}`), wire.ErrMalformed},
	} {
		err := test.read(bytes.NewReader(test.in))
		if no, ok := test.want.(*wire.RefusedError); ok {
			var got *wire.RefusedError
			if !errors.As(err, &got) || *got != *no {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// What would not be read is not written.
func TestWritersValidate(t *testing.T) {
	for name, err := range map[string]error{
		"hello":   wire.WriteHello(io.Discard, wire.Hello{}),
		"welcome": wire.WriteWelcome(io.Discard, wire.Welcome{Version: 1, Server: "a\nb"}),
		"open":    wire.WriteOpen(io.Discard, wire.Open{Service: "pop3", Host: "a b", Port: 1}),
		"refused": wire.WriteRefused(io.Discard, &wire.RefusedError{}),
		"notice":  wire.WriteNotice(io.Discard, wire.Notice{}),
	} {
		if !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A data connection of FTP has a control connection and a port, and nothing that says where to; no other has a control connection.
func TestOpenOfData(t *testing.T) {
	for json, ok := range map[string]bool{
		`{"service":"ftp-data","control":5,"port":50123}`:                    true,
		`{"service":"ftp-data","control":5}`:                                 false,
		`{"service":"ftp-data","port":50123}`:                                false,
		`{"service":"ftp-data"}`:                                             false,
		`{"service":"ftp-data","control":5,"port":65536}`:                    false,
		`{"service":"ftp-data","control":-5,"port":50123}`:                   false,
		`{"service":"ftp-data","control":4294967296,"port":50123}`:           false,
		`{"service":"ftp-data","control":"5","port":50123}`:                  false,
		`{"service":"ftp-data","control":5,"host":"192.0.2.1","port":50123}`: false,
		`{"service":"ftp-data","host":"192.0.2.1","port":50123}`:             false,
		`{"service":"ftp-data","control":5,"server":"a.test","port":50123}`:  false,
		`{"service":"ftp","control":5}`:                                      false,
		`{"service":"ftp","control":5,"host":"192.0.2.1","port":21}`:         false,
		`{"service":"pop3","control":5,"server":"mail.elsewhere.test"}`:      false,
		`{"service":"FTP-DATA","control":5,"port":50123}`:                    false,
	} {
		var b bytes.Buffer
		body := `{"open":` + json + `}`
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(body))))
		b.WriteString(body)
		if _, err := wire.ReadOpen(&b); (err == nil) != ok || err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", json, err)
		}
	}
}

func TestCheckHost(t *testing.T) {
	for _, host := range []string{
		"localhost", "pop.example.com", "POP.Example.COM", "xn--bcher-kva.example", "3com.com", "a.1x", "mail_1.lan", "1.2.3.4",
		"255.255.255.255", "::1", "2001:db8::1", "::ffff:1.2.3.4", "0xg", strings.Repeat("a", 63) + ".example", "12.example",
	} {
		if err := wire.CheckHost(host); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
	for _, host := range []string{
		"", ".", "a.", ".a", "a..b", "-a.example", "a-.example", "a b", "a\tb", "a\x00b", "a\r\nb", "bücher.example", "a/b", "a@b",
		"a:25", "[::1]", "fe80::1%eth0", "1.2.3", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "01.02.03.04",
		"1.2.3.4.5", "a.0x", "a.0X1F", "256.1.1.1", "1.2.3.4.", strings.Repeat("a", 64) + ".example",
		strings.Repeat("a.", 126) + "ab", "*", "*.example.com", "%31", "１２７.0.0.1",
	} {
		if err := wire.CheckHost(host); err == nil {
			t.Errorf("%q passes", host)
		}
	}
}

// The largest frame that validates can be written, however much of it must be escaped.
func TestLargestWelcomeFits(t *testing.T) {
	worst := func(n int) string { return strings.Repeat(`"`, n) }
	label := strings.Repeat("a", 64)
	host := strings.Repeat(strings.Repeat("a", 62)+".", 4)[:251] + "a"
	w := wire.Welcome{Version: 1 << 16, Server: worst(128), Session: worst(64), Limits: wire.Limits{Streams: 1 << 31, IdleSeconds: 1 << 31}}
	for range 32 {
		w.Capabilities = append(w.Capabilities, label)
	}
	w.Embedded = &wire.Embedded{Hostname: host, Fingerprint: strings.Repeat("a", 64)}
	for range 3 {
		w.Beside = append(w.Beside, *w.Embedded)
	}
	for i := range 16 {
		s := w.Servers()[i%4]
		s.Domains = append(s.Domains, host)
	}
	for i := range 24 {
		s := w.Servers()[i%4]
		s.Services = append(s.Services, wire.Service{Name: wire.ServiceName(label[:32]), Port: 65535})
	}
	for range 8 {
		w.Embedded.Demo = append(w.Embedded.Demo, wire.DemoAccount{Name: worst(64), Email: worst(254), Password: worst(64)})
	}
	roundTrip(t, w, wire.WriteWelcome, wire.ReadWelcome)
}

// What the servers have is counted over all of them.
func TestServersAreBoundedTogether(t *testing.T) {
	some := func(n int) (e wire.Embedded) {
		e = wire.Embedded{Hostname: "a.test", Fingerprint: strings.Repeat("a", 64)}
		for range n {
			e.Domains = append(e.Domains, "a.test")
		}
		return e
	}
	for name, c := range map[string]struct {
		first  int
		beside []wire.Embedded
		ok     bool
	}{
		"full":         {8, []wire.Embedded{some(8)}, true},
		"one too many": {8, []wire.Embedded{some(9)}, false},
		"too many":     {1, []wire.Embedded{some(1), some(1), some(1), some(1)}, false},
		"no first":     {-1, []wire.Embedded{some(1)}, false},
		"no name":      {1, []wire.Embedded{{}}, false},
	} {
		w := wire.Welcome{Version: 1, Beside: c.beside}
		if c.first >= 0 {
			e := some(c.first)
			w.Embedded = &e
		}
		if err := w.Validate(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := two.Home("Elsewhere.TEST"); s != &two.Beside[0] {
		t.Errorf("elsewhere.test is at home at %+v", s)
	}
	if s := two.Home("postern.test"); s != two.Embedded {
		t.Errorf("postern.test is at home at %+v", s)
	}
	if s := two.Home("example.org"); s != nil {
		t.Errorf("example.org is at home at %+v", s)
	}
}

func TestStrings(t *testing.T) {
	for got, want := range map[string]string{
		opens[0].String(): "pop3 (embedded)",
		opens[1].String(): "pop3 (embedded mail.elsewhere.test)",
		opens[2].String(): "imaps imap.example.com:993",
		opens[3].String(): "smtp [2001:db8::1]:65535",
		refused.Error():   "refused by the gateway: denied: the policy: 日本",
		(&wire.RefusedError{Reason: wire.Timeout}).Error(): "refused by the gateway: timeout",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func ExampleWriteOpen() {
	var b bytes.Buffer
	_ = wire.WriteOpen(&b, wire.Open{Service: wire.POP3S, Host: "pop.example.com", Port: 995})
	fmt.Printf("%x %s\n", b.Bytes()[:4], b.Bytes()[4:])
	// Output: 00000040 {"open":{"service":"pop3s","host":"pop.example.com","port":995}}
}
