package control

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	gosasl "github.com/emersion/go-sasl"

	"github.com/postern-mail/postern/shared/sasl"
)

// door lets alice in, by her password.
type door struct {
	offers []string
	gone   error // what Still says
	delay  func(context.Context)
}

var denied = &Error{Kind: Denied, Text: "not you"}

func (d *door) Mechanisms(context.Context) []string { return d.offers }
func (d *door) Still(context.Context) error         { return d.gone }
func (d *door) Begin(ctx context.Context, mechanism string) gosasl.Server {
	decide := func(right bool) error {
		if d.delay != nil {
			d.delay(ctx)
		}
		if !right {
			return denied
		}
		return nil
	}
	if mechanism == sasl.Plain {
		return gosasl.NewPlainServer(func(_, user, password string) error { return decide(user == "alice" && password == "secret") })
	}
	keys := sasl.NewKeys("secret", sasl.MinIterations)
	return &sasl.SCRAMServer{
		Keys:   func(string) (sasl.Keys, error) { return keys, nil },
		Decide: func(user string, right bool) error { return decide(user == "alice" && right) },
	}
}

func TestLogin(t *testing.T) {
	for _, mechanisms := range [][]string{{sasl.SCRAMSHA256, sasl.Plain}, {sasl.Plain}} {
		r := &recorder{}
		var reported []string
		s := &Server{Operations: r, Doorkeeper: &door{offers: mechanisms}, Report: func(op string, err error) { reported = append(reported, op) }}
		c := NewClient(serve(t, s), Limits{})
		if err := c.Login(t.Context(), sasl.Credentials{User: "alice", Password: "secret"}); err != nil {
			t.Fatal(mechanisms, err)
		}
		if users, err := c.Users(t.Context()); len(users) != 1 || err != nil {
			t.Errorf("%v %v", users, err)
		}
		if !slices.Equal(reported, []string{"login", "user.list"}) {
			t.Errorf("reported %v", reported)
		}
		for _, wrong := range []sasl.Credentials{{User: "alice", Password: "Secret"}, {User: "bob", Password: "secret"}} {
			c := NewClient(serve(t, s), Limits{})
			err := c.Login(t.Context(), wrong)
			var told *Error
			if !errors.As(err, &told) || told.Kind != Denied || told.Text != denied.Text {
				t.Errorf("%v: %v", mechanisms, err)
			}
			if _, err := c.Users(t.Context()); !errors.As(err, &told) || told.Kind != Denied {
				t.Errorf("the connection is used on: %v", err)
			}
		}
		if len(r.calls) != 1 {
			t.Errorf("calls %v", r.calls)
		}
	}
	c := NewClient(serve(t, &Server{Doorkeeper: &door{offers: []string{"GSSAPI"}}}), Limits{})
	if err := c.Login(t.Context(), sasl.Credentials{User: "alice", Password: "secret"}); !errors.Is(err, sasl.ErrNoMechanism) {
		t.Errorf("no mechanism in common: %v", err)
	}
}

// Who is no administrator any more is asked for nothing, on connections of before.
func TestAdministratorNoMore(t *testing.T) {
	r, d := &recorder{}, &door{offers: []string{sasl.Plain}}
	c := NewClient(serve(t, &Server{Operations: r, Doorkeeper: d}), Limits{})
	if err := c.Login(t.Context(), sasl.Credentials{User: "alice", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	d.gone = denied
	var told *Error
	if _, err := c.Users(t.Context()); !errors.As(err, &told) || told.Kind != Denied || len(r.calls) > 0 {
		t.Errorf("%v, %v", err, r.calls)
	}
	if _, err := c.Users(t.Context()); err == nil {
		t.Error("the connection is open")
	}
}

func plain(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestHostileLogin(t *testing.T) {
	const offered = `{"mechanisms":["SCRAM-SHA-256","PLAIN"]}` + "\n"
	for name, c := range map[string]struct {
		say  []string
		want string // before the connection ends
	}{
		"no login":           {[]string{`{"postern":1,"op":"user.list"}`}, `{"error":{"kind":"unsupported","text":"the mechanisms are SCRAM-SHA-256 PLAIN"}}` + "\n"},
		"no JSON":            {[]string{"GET / HTTP/1.1"}, ""},
		"too long":           {[]string{`{"mechanism":"PLAIN","response":"` + strings.Repeat("A", 13<<10) + `"}`}, ""},
		"another mechanism":  {[]string{`{"mechanism":"LOGIN"}`}, `{"error":{"kind":"unsupported","text":"the mechanisms are SCRAM-SHA-256 PLAIN"}}` + "\n"},
		"no base64":          {[]string{`{"mechanism":"PLAIN","response":"*"}`}, ""},
		"no PLAIN":           {[]string{`{"mechanism":"plain","response":"` + plain("alice") + `"}`}, `{"error":{"kind":"failed","text":"the login failed"}}` + "\n"},
		"no SCRAM":           {[]string{`{"mechanism":"SCRAM-SHA-256","response":"` + plain("y") + `"}`}, `{"error":{"kind":"invalid","text":"sasl: malformed response: too few fields"}}` + "\n"},
		"silence in between": {[]string{`{"mechanism":"SCRAM-SHA-256"}`, `{}`}, `{"challenge":""}` + "\n" + `{"error":{"kind":"invalid","text":"sasl: malformed response: none"}}` + "\n"},
		"a request meanwhile": {[]string{`{"mechanism":"PLAIN"}`, `{"postern":1,"op":"user.list","response":"` + plain("\x00alice\x00wrong") + `"}`},
			`{"challenge":""}` + "\n" + `{"error":{"kind":"denied","text":"not you"}}` + "\n"},
		"the end": {nil, ""},
	} {
		r := &recorder{}
		conn := serve(t, &Server{Operations: r, Doorkeeper: &door{offers: []string{sasl.SCRAMSHA256, sasl.Plain}}})
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		in := bufio.NewReader(conn)
		if line, err := in.ReadString('\n'); line != offered || err != nil {
			t.Errorf("%s: offered %q, %v", name, line, err)
		}
		var got strings.Builder
		for i, line := range c.say {
			go io.WriteString(conn, line+"\n")
			if i < len(c.say)-1 {
				answer, _ := in.ReadString('\n')
				got.WriteString(answer)
			}
		}
		if c.say == nil {
			conn.Close()
		}
		io.Copy(&got, in)
		if got.String() != c.want || len(r.calls) > 0 {
			t.Errorf("%s: %q, called %v", name, &got, r.calls)
		}
	}
}

// A login ends in time, whether the client is silent or the gate waits.
func TestLoginTime(t *testing.T) {
	limits := Limits{Login: 20 * time.Millisecond}
	conn := serve(t, &Server{Doorkeeper: &door{offers: []string{sasl.Plain}}, Limits: limits})
	if b, err := io.ReadAll(conn); !strings.HasPrefix(string(b), `{"mechanisms"`) || err != nil {
		t.Errorf("%q, %v: the server should have closed", b, err)
	}
	late := make(chan struct{})
	s := &Server{Doorkeeper: &door{offers: []string{sasl.Plain}, delay: func(ctx context.Context) { <-ctx.Done(); close(late) }}, Limits: limits}
	c := NewClient(serve(t, s), Limits{})
	if err := c.Login(t.Context(), sasl.Credentials{User: "alice", Password: "secret"}); !errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
	<-late
}

func TestLoginGivenUp(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { there.Write([]byte(`{"mech`)); cancel() }()
	if err := NewClient(here, Limits{}).Login(ctx, sasl.Credentials{User: "a", Password: "b"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A page reaches what is for pages, and nothing else.
func TestOnly(t *testing.T) {
	allowed := Page()
	for op := range operations {
		r := &recorder{}
		conn := serve(t, &Server{Operations: r, Queue: r, World: r, Only: allowed})
		go io.WriteString(conn, `{"postern":1,"op":"`+op+`"}`+"\n")
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			t.Error(op, err)
		}
		if want := slices.Contains(allowed, op); want != strings.HasPrefix(line, `{"result"`) || want != (len(r.calls) == 1) {
			t.Errorf("%s: %s, called %v", op, line, r.calls)
		}
	}
	for _, op := range allowed {
		if _, ok := operations[op]; !ok {
			t.Errorf("%s is no operation", op)
		}
	}
}

// Who waits and goes away is not waited for.
func TestWatcherGoesAway(t *testing.T) {
	r := &recorder{watching: make(chan struct{}), watched: make(chan struct{})}
	c := NewClient(serve(t, &Server{Queue: r}), Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-r.watching; cancel() }()
	if _, err := c.WatchQueue(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	<-r.watched
}

// After an operation that waited, the next is read as ever, also one that came meanwhile.
func TestAfterWaiting(t *testing.T) {
	r := &recorder{}
	conn := serve(t, &Server{Operations: r, Queue: r})
	go io.WriteString(conn, strings.Repeat(`{"postern":1,"op":"queue.watch","args":{"revision":4}}`+"\n", 2)+`{"postern":1,"op":"user.list"}`+"\n")
	in := bufio.NewReader(conn)
	for _, want := range []string{`{"result":{"revision":5}}`, `{"result":{"revision":5}}`, `{"result":[`} {
		if line, err := in.ReadString('\n'); !strings.HasPrefix(line, want) || err != nil {
			t.Errorf("%q, %v", line, err)
		}
	}
}

func FuzzLogin(f *testing.F) {
	f.Add([]byte(`{"mechanism":"PLAIN","response":"` + plain("\x00alice\x00secret") + `"}` + "\n" + `{"postern":1,"op":"user.list"}` + "\n"))
	f.Add([]byte(`{"mechanism":"SCRAM-SHA-256","response":"` + plain("n,,n=alice,r=abc") + `"}` + "\n" + `{"response":"` + plain("c=biws,r=abc,p=AAAA") + `"}` + "\n"))
	f.Add([]byte(`{"mechanism":"PLAIN"}` + "\n{}\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		r := &recorder{big: 10}
		s := &Server{Operations: r, Doorkeeper: &door{offers: []string{sasl.SCRAMSHA256, sasl.Plain}}, Limits: Limits{Login: 5 * time.Second, Idle: 5 * time.Second}}
		here, there := net.Pipe()
		ended := make(chan struct{})
		go func() { s.ServeConn(context.Background(), there); close(ended) }()
		go func() { here.Write(input); here.Close() }()
		io.Copy(io.Discard, here)
		<-ended
		if len(r.calls) > 0 && !strings.Contains(string(input), "secret") && !strings.Contains(string(input), "c2VjcmV0") && !strings.Contains(strings.ToLower(string(input)), "plain") {
			t.Errorf("%q came in: %v", input, r.calls)
		}
	})
}
