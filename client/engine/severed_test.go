package engine

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

// severedConn is a server's connection that ends when it has read or written so many octets.
type severedConn struct {
	net.Conn
	read, written int // octets left; -1: without end
	cut           bool
}

func (c *severedConn) Read(p []byte) (int, error) {
	if c.read == 0 || c.cut {
		c.sever()
		return 0, io.EOF
	}
	if c.read > 0 {
		p = p[:min(len(p), c.read)]
	}
	n, err := c.Conn.Read(p)
	if c.read > 0 {
		c.read -= n
	}
	return n, err
}

func (c *severedConn) Write(p []byte) (int, error) {
	if c.written < 0 && !c.cut {
		return c.Conn.Write(p)
	}
	if c.written < len(p) {
		_, _ = c.Conn.Write(p[:c.written])
		c.sever()
		return 0, io.ErrClosedPipe
	}
	c.written -= len(p)
	return c.Conn.Write(p)
}

func (c *severedConn) sever() {
	c.cut, c.written = true, 0
	c.Close()
}

// closely is where every octet is tried: about the final dot, and about the answers to DATA and to it. Elsewhere it is one of
// so many.
var closely = map[string]struct{ stride, from, to int }{"client": {31, 455, 475}, "server": {17, 180, 198}}

// Wherever what either side says is cut, the server gets the message once, or its fate is unknown
// and it is not sent again.
func TestSubmissionCutAnywhere(t *testing.T) {
	for _, extensions := range [][]string{nil, {"PIPELINING"}} {
		for _, dir := range []string{"client", "server"} {
			t.Run(fmt.Sprint(dir, extensions), func(t *testing.T) {
				states, unknown := make(map[api.OutboxState]int), 0
				for n := 0; ; n++ {
					if c := closely[dir]; n%c.stride != 0 && (n < c.from || n > c.to) {
						continue
					}
					var cut bool
					inWorld(t, func(t *testing.T, w *world) {
						w.post.extensions = extensions
						a := w.signIn(alice)
						var conn *severedConn
						server := mailtest.ServerFunc(func(c net.Conn) {
							if conn == nil {
								conn = &severedConn{Conn: c, read: -1, written: -1}
								if dir == "client" {
									conn.read = n
								} else {
									conn.written = n
								}
								c = conn
							}
							w.post.ServeConn(c)
						})
						w.gateway.serve(wire.Submissions, server)
						id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Subject: "s", Text: "t"})
						synctest.Wait()
						cut = conn != nil && conn.cut
						first, taken := w.row(a.ID, id).State, len(w.post.letters())
						if states[first]++; first == api.StateUnknown && states[first] == 1 {
							unknown = n
						}
						time.Sleep(2 * time.Minute)
						synctest.Wait()
						last, all := w.row(a.ID, id).State, len(w.post.letters())
						switch first {
						case api.StateDeferred:
							if taken != 0 || last != api.StateSent || all != 1 {
								t.Errorf("cut after %d octets: put off, %d taken; then %s, %d taken", n, taken, last, all)
							}
						case api.StateUnknown:
							if last != api.StateUnknown || all != taken || all > 1 {
								t.Errorf("cut after %d octets: unknown, %d taken; then %s, %d taken", n, taken, last, all)
							}
						case api.StateSent:
							if all != 1 {
								t.Errorf("cut after %d octets: sent, and %d taken", n, all)
							}
						default:
							t.Errorf("cut after %d octets: %s", n, first)
						}
					})
					if !cut || t.Failed() {
						break
					}
				}
				t.Logf("%v, the first unknown after %d octets", states, unknown)
				if states[api.StateDeferred] < 5 || states[api.StateUnknown] < 2 || states[api.StateSent] == 0 {
					t.Errorf("not every way of ending was seen: %v", states)
				}
			})
		}
	}
}

// The mark that a message may have been sent is on the device before its end is on the wire, also where a server is given
// it in chunks, and no earlier.
func TestMarkBeforeTheEndOfAMessage(t *testing.T) {
	for _, test := range []struct {
		name                 string
		pipelining, chunking bool
		size                 int
		end                  string
		during               string // a stage within the message; "" for none
	}{
		{"DATA", false, false, 10, ".", ""},
		{"DATA, pipelined", true, false, 200 << 10, ".", ""},
		{"BDAT", true, true, 3 << 20, "BDAT LAST", "BDAT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p := newProvider(w, dora)
				p.post.Pipelining, p.post.Chunking = test.pipelining, test.chunking
				a := w.signInAt(api.SignIn{Email: dora, Password: doraPW, Servers: atExample(p)})
				own, err := w.account(a.ID)
				if err != nil {
					t.Fatal(err)
				}
				at := make(map[string][]string) // the states at each stage
				p.post.Fault = func(stage string) *mailtest.SMTPFault {
					for _, e := range own.box.List(outbox, nil, 0, 1).Entries {
						at[stage] = append(at[stage], e.Delivery.State)
					}
					return nil
				}
				text := strings.Repeat("Some seventy characters of text, so that there are lines of a good length.\n", 1+test.size/74)
				id := w.send(api.Draft{Account: a.ID, To: to(alice), Subject: "s", Text: text})
				synctest.Wait()
				if r := w.row(a.ID, id); r.State != api.StateSent {
					t.Fatalf("row %+v", r)
				}
				if got := at[test.end]; !slices.Equal(got, []string{stateCommitting}) {
					t.Errorf("at the end: %v of %v", got, at)
				}
				for _, stage := range []string{"MAIL", "RCPT"} {
					if got := at[stage]; !slices.Equal(got, []string{string(api.StateSending)}) {
						t.Errorf("at %s: %v", stage, got)
					}
				}
				if test.during != "" && (len(at[test.during]) == 0 || at[test.during][0] != string(api.StateSending)) {
					t.Errorf("at %s: %v", test.during, at[test.during])
				}
			})
		})
	}
}
