package reach

import (
	"context"
	"net"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// platform is a NameDialer that notes what it is given.
type platform struct{ dialled }

func (p *platform) DialName(ctx context.Context, host string, port int) (net.Conn, error) {
	p.asked = append(p.asked, "name "+net.JoinHostPort(host, strconv.Itoa(port)))
	switch host {
	case "down.example.com":
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	case "slow.example.com":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a, b := net.Pipe()
	_ = b.Close()
	return a, nil
}

// Where names cannot be looked up, the policy decides by name and port, addresses are checked as ever, and nothing is
// looked up behind anybody's back.
func TestTargetsByName(t *testing.T) {
	for _, test := range []struct {
		open    wire.Open
		dialled []string
		reason  wire.Reason
	}{
		{open("pop.example.com", 995), []string{"name pop.example.com:995"}, ""},
		{open("POP.Example.com", 995), []string{"name POP.Example.com:995"}, ""},
		{open("pop.example.com", 22), nil, wire.Denied},
		{open("pop.example.net", 995), nil, wire.Denied},
		{open("localhost", 995), nil, wire.Denied},
		{open("down.example.com", 995), []string{"name down.example.com:995"}, wire.Unreachable},
		{open("slow.example.com", 995), []string{"name slow.example.com:995"}, wire.Timeout},
		{open("192.0.2.7", 995), []string{"tcp 192.0.2.7:995"}, ""},
		{open("127.0.0.1", 995), nil, wire.Denied},
		{open("::ffff:127.0.0.1", 995), nil, wire.Denied},
		{wire.Open{Service: "gopher", Host: "pop.example.com", Port: 995}, nil, wire.Denied},
	} {
		inBubble(t, test.open.String(), func(t *testing.T) {
			p := new(platform)
			g := &Gate{Dialer: p, Resolver: names{}, Policy: Policy{Allow: rules(t, "*.example.com:995", "192.0.2.7:995")}}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			targets, no := g.Targets(ctx, test.open)
			if no == nil {
				var conn net.Conn
				held := ""
				conn, _, no = g.Dial(ctx, targets, func(t Target) (func(), *wire.RefusedError) {
					held = t.String()
					return func() {}, nil
				})
				if no == nil {
					_ = conn.Close()
				}
				if want := net.JoinHostPort(test.open.Host, strconv.Itoa(test.open.Port)); held != want {
					t.Errorf("counted as %s, want %s", held, want)
				}
			}
			if !slices.Equal(p.asked, test.dialled) {
				t.Errorf("dialled %q, want %q", p.asked, test.dialled)
			}
			if (no == nil) != (test.reason == "") || no != nil && no.Reason != test.reason {
				t.Errorf("%v, want %q", no, test.reason)
			}
		})
	}
}

// A name that anybody may own can lead to one machine for the control connection and to another for its data: where it is not looked up
// here, there are data connections to those alone that the operator has named.
func TestDataByName(t *testing.T) {
	for _, test := range []struct {
		policy Policy
		host   string
		data   bool
	}{
		{Policy{Mode: Mail}, "ftp.evil.example", false},
		{Policy{Allow: rules(t, "*:21")}, "ftp.evil.example", false},
		{Policy{Allow: rules(t, "*:21", "ftp.example.com:990")}, "ftp.example.com", false}, // for another port
		{Policy{Mode: Mail, Allow: rules(t, "ftp.example.com:21")}, "FTP.example.com", true},
		{Policy{Allow: rules(t, "*:*", "*.example.com:21")}, "ftp.example.com", true},
		{Policy{Allow: rules(t, "*:*", "*.example.com:21")}, "ftp.example.com.evil.example", false},
		{Policy{Mode: Mail}, "93.184.216.34", true},
	} {
		g := &Gate{Dialer: new(platform), Resolver: names{}, Policy: test.policy}
		targets, no := g.Targets(t.Context(), wire.Open{Service: wire.FTP, Host: test.host, Port: 21})
		if no != nil {
			t.Fatalf("%s: %v", test.host, no)
		}
		if _, no := g.Beside(targets[0], 50123); (no == nil) != test.data {
			t.Errorf("%+v, %s: %v", test.policy, test.host, no)
		}
	}
}
