package smtpd

import (
	"net/netip"
	"strings"
	"testing"
)

// What goes wrong on purpose does so where it is meant to, and not with the next message.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name      string
		fault     Fault
		rcpt      string // the answer
		last      string // the last word that is heard
		delivered int
	}{
		{"none", Fault{}, "250", "250 2.0.0 OK", 1},
		{"refused for now", Fault{Code: 451, Enhanced: [3]int{4, 7, 1}, Text: "later"}, "451 4.7.1 later", "", 0},
		{"refused", Fault{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "never"}, "550 5.7.1 never", "", 0},
		{"cut before", Fault{Cut: CutBefore}, "250", "", 0},
		{"cut after", Fault{Cut: CutAfter}, "250", "354", 1},
	} {
		for _, chunks := range []bool{false, true} {
			var asked []string
			p := &fakePost{}
			addr, _ := start(t, p, func(cfg *Config) {
				cfg.Fault = func(client netip.Addr, from, to string) Fault {
					asked = append(asked, client.String()+" "+from+" "+to)
					if to == "alice@postern.test" {
						return Fault{}
					}
					return c.fault
				}
			})
			peer := dial(t, addr)
			peer.starttls()
			peer.Send("MAIL FROM:<x@far.test>\r\nRCPT TO:<nobody@postern.test>\r\nRCPT TO:<bob@postern.test>\r\n")
			peer.expect("250")
			peer.expect("550 5.1.1")
			peer.expect(c.rcpt)
			if c.fault.Code == 0 {
				last := ""
				if chunks {
					peer.Send("BDAT 3 LAST\r\nx\r\n")
				} else {
					peer.Send("DATA\r\n")
					if last, _ = peer.In.ReadString('\n'); last != "" {
						peer.Send("x\r\n.\r\n")
					}
				}
				if line, err := peer.In.ReadString('\n'); err == nil {
					last = line
				}
				if want := c.last; !strings.HasPrefix(last, want) && !(chunks && want == "354" && last == "") || want == "" && last != "" {
					t.Errorf("%s, chunks %v: the last word was %q", c.name, chunks, last)
				}
				if c.fault.Cut != NoCut {
					if _, err := peer.In.ReadByte(); err == nil {
						t.Errorf("%s, chunks %v: not cut", c.name, chunks)
					}
				}
			}
			if got := len(p.all()); got != c.delivered {
				t.Errorf("%s, chunks %v: %d messages were taken", c.name, chunks, got)
			}
			if len(asked) != 1 || asked[0] != "127.0.0.1 x@far.test bob@postern.test" {
				t.Errorf("%s: asked %q", c.name, asked)
			}
			if c.fault.Code != 0 { // and who has another recipient goes on
				peer.Send("RCPT TO:<alice@postern.test>\r\nDATA\r\nx\r\n.\r\n")
				peer.expect("250")
				peer.expect("354")
				peer.expect("250")
			}
		}
	}
}

// A cut that was for one message is not for the next of its connection.
func TestFaultIsForgotten(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, func(cfg *Config) {
		cfg.Fault = func(_ netip.Addr, _, to string) Fault {
			if to == "bob@postern.test" {
				return Fault{Cut: CutBefore}
			}
			return Fault{}
		}
	})
	peer := dial(t, addr)
	peer.Send("EHLO client.test\r\nMAIL FROM:<x@far.test>\r\nRCPT TO:<bob@postern.test>\r\nRSET\r\nMAIL FROM:<x@far.test>\r\nRCPT TO:<alice@postern.test>\r\nDATA\r\n")
	for _, want := range []string{"250", "250", "250", "250", "250", "250", "354"} {
		peer.expect(want)
	}
	peer.Send("x\r\n.\r\n")
	peer.expect("250 2.0.0 OK")
}
