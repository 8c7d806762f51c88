package pop3

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of [Client.Wait]: a minute less than half an hour, the time after which NATs and proxies drop what is silent.
const (
	MinWait = time.Second
	MaxWait = 1740 * time.Second
)

// Wait waits up to d (rounded up to seconds) for mail: XWAIT, an extension of Postern's own server, announced by the
// capability X-POSTERN-WAIT. In TRANSACTION the client sends "XWAIT seconds", seconds from 1 to 1740; the server gives
// up the maildrop's lock, deletes nothing, and answers "+OK waiting" at once. As soon as the maildrop holds a message that
// it did not hold at login it says "+OK new", or after the time "+OK none", and closes the connection. The client may
// close at any time.
//
// Wait reports whether there is new mail. The client is closed when it returns, unless the server refused with an
// [*Error] at once or does not announce the capability ([ErrUnsupported]).
func (c *Client) Wait(ctx context.Context, d time.Duration) (changed bool, err error) {
	if d < MinWait || d > MaxWait {
		return false, fmt.Errorf("%w: a wait of %v", ErrArgument, d)
	}
	seconds := int64((d + time.Second - 1) / time.Second)
	err = c.session(ctx, "XWAIT", inTransaction, func() error {
		if c.caps != nil && !c.caps.Wait {
			return fmt.Errorf("%w: XWAIT", ErrUnsupported)
		}
		if err := c.send("XWAIT "+strconv.FormatInt(seconds, 10), ""); err != nil {
			return err
		}
		if _, err := c.status("XWAIT"); err != nil {
			return err
		}
		defer c.giveUp() // the server closes after its second answer
		c.link.renew()
		c.link.budget += time.Duration(seconds) * time.Second
		answer, err := c.readStatus("XWAIT")
		if err != nil {
			return err
		}
		word, _, _ := strings.Cut(strings.TrimSpace(string(answer)), " ")
		changed = word == "new"
		return nil
	})
	return changed, err
}
