package pop3

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/postern-mail/postern/shared/printable"
)

// Capabilities is what the server announced with CAPA. See RFC 2449 sections 5 and 6.
type Capabilities struct {
	Pipelining   bool // commands may be sent before the answers to earlier ones (section 6.6)
	STLS         bool // RFC 2595 section 4
	Top          bool
	UIDL         bool
	User         bool // USER and PASS are accepted
	RespCodes    bool
	AuthRespCode bool     // a password that is wrong is refused with [AUTH], and nothing else is (RFC 3206 section 5)
	UTF8         bool     // RFC 6856 section 2; see [Client.UTF8]
	UTF8User     bool     // user names and passwords may be beyond ASCII (section 2.2)
	Langs        bool     // RFC 6856 section 3; see [Client.Lang]
	Wait         bool     // XWAIT, announced as X-POSTERN-WAIT; see [Client.Wait]
	SASL         []string // the mechanisms of AUTH, upper case

	// LoginDelay is how long the server wants to be left alone between two logins, zero if it did not say; a login that comes
	// sooner may be refused with [LOGIN-DELAY] (section 6.5).
	LoginDelay time.Duration
	// Expire is after how many days the server may delete messages (section 6.7): [ExpireNever], [ExpireUnsaid], or a number;
	// 0 means that mail must not be left on the server.
	Expire int
	// ExpirePerUser and LoginDelayPerUser say that the user's own value, asked for in TRANSACTION, may be another.
	ExpirePerUser, LoginDelayPerUser bool

	Implementation string
	Lines          []string // each capability as announced, in order
}

// Values of Capabilities.Expire that are no number of days.
const (
	ExpireNever  = -1
	ExpireUnsaid = -2
)

const (
	maxExpire     = 100 * 366        // days: a century is never
	maxLoginDelay = 7 * 24 * 3600    // seconds: no server that says more is meant to be used
	maxMechanism  = 20               // RFC 4422 section 3.1
	capabilityTag = "X-POSTERN-WAIT" // of XWAIT
)

// Args returns the arguments of the capability of that name and whether it was announced.
func (c *Capabilities) Args(name string) ([]string, bool) {
	for _, line := range c.Lines {
		if f := strings.Fields(line); strings.EqualFold(f[0], name) {
			return f[1:], true
		}
	}
	return nil, false
}

func (c *Capabilities) add(line string) {
	f := strings.Fields(line)
	if len(f) == 0 {
		return
	}
	c.Lines = append(c.Lines, line)
	switch strings.ToUpper(f[0]) {
	case "PIPELINING":
		c.Pipelining = true
	case "STLS":
		c.STLS = true
	case "TOP":
		c.Top = true
	case "UIDL":
		c.UIDL = true
	case "USER":
		c.User = true
	case "RESP-CODES":
		c.RespCodes = true
	case "AUTH-RESP-CODE":
		c.AuthRespCode = true
	case "UTF8":
		c.UTF8, c.UTF8User = true, hasWord(f[1:], "USER")
	case "LANG":
		c.Langs = true
	case capabilityTag:
		c.Wait = true
	case "SASL":
		for _, m := range f[1:] {
			if len(m) <= maxMechanism {
				c.SASL = append(c.SASL, strings.ToUpper(m))
			}
		}
	case "LOGIN-DELAY":
		if seconds, ok := figure(f[1:], maxLoginDelay); ok {
			c.LoginDelay, c.LoginDelayPerUser = time.Duration(seconds)*time.Second, hasWord(f[2:], "USER")
		}
	case "EXPIRE":
		if len(f) > 1 && strings.EqualFold(f[1], "NEVER") {
			c.Expire = ExpireNever
		} else if days, ok := figure(f[1:], maxExpire); ok {
			c.Expire = days
		} else {
			break
		}
		c.ExpirePerUser = hasWord(f[2:], "USER")
	case "IMPLEMENTATION":
		c.Implementation = strings.Join(f[1:], " ")
	}
}

// figure reads the first argument as a number; what is no number, or one of nonsense, says nothing.
func figure(args []string, limit int64) (int, bool) {
	if len(args) == 0 {
		return 0, false
	}
	n, _, ok := decimal([]byte(args[0]), limit)
	return int(n), ok
}

func hasWord(args []string, word string) bool {
	return len(args) > 0 && strings.EqualFold(args[0], word)
}

// Capa asks what the server is capable of. A server without CAPA refuses with an [*Error]. What it says may differ between
// AUTHORIZATION and TRANSACTION; the client goes by what it heard last. See RFC 2449 section 5.
func (c *Client) Capa(ctx context.Context) (*Capabilities, error) {
	err := c.session(ctx, "CAPA", []State{Authorization, Transaction}, c.capa)
	if err != nil {
		return nil, err
	}
	caps := *c.caps
	return &caps, nil
}

func (c *Client) capa() error {
	caps := &Capabilities{Expire: ExpireUnsaid}
	err := c.multiline("CAPA", "CAPA", func(line []byte) error {
		caps.add(printable.Line(string(line)))
		return nil
	})
	var refused *Error
	if err == nil || errors.As(err, &refused) {
		c.caps = caps // refused: it announces nothing
	}
	return err
}

// known makes sure that CAPA has been asked. A server without it announces nothing.
func (c *Client) known() error {
	if c.caps != nil {
		return nil
	}
	err := c.capa()
	var refused *Error
	if errors.As(err, &refused) {
		return nil
	}
	return err
}
