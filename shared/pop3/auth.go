package pop3

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	gosasl "github.com/emersion/go-sasl"

	"github.com/postern-mail/postern/shared/printable"
	"github.com/postern-mail/postern/shared/sasl"
)

const (
	masked = "****"

	// maxCommand is the longest command line, line end included: RFC 2449 section 4.
	maxCommand = 255
	// maxChallenge is the longest line of an exchange, line end included: RFC 5034 section 4 wants 12,288 octets.
	maxChallenge = 12288
	// maxChallenges is how often a server may ask back. The mechanisms that exist do it three times at most.
	maxChallenges = 16
)

// Authenticate authenticates with AUTH and a mechanism of SASL and so enters TRANSACTION. The initial response goes with
// the command if it fits into its line. A mechanism that cannot go on cancels the exchange, and its error is returned; the session
// goes on, except after [sasl.ErrServerProof]. Whether the connection is safe for the mechanism is the caller's
// policy, or [Client.Auth]'s. See RFC 5034.
func (c *Client) Authenticate(ctx context.Context, client gosasl.Client) error {
	return c.session(ctx, "AUTH", []State{Authorization}, func() error { return c.authenticate(client) })
}

func (c *Client) authenticate(client gosasl.Client) error {
	mechanism, initial, err := client.Start()
	if err != nil {
		return err
	}
	line, shown := "AUTH "+mechanism, "AUTH "+mechanism
	if initial != nil {
		response := "="
		if len(initial) > 0 {
			response = base64.StdEncoding.EncodeToString(initial)
		}
		if len(line)+1+len(response)+len("\r\n") <= maxCommand {
			line, shown, initial = line+" "+response, shown+" "+masked, nil
		}
	}
	if err := c.send(line, shown); err != nil {
		return err
	}
	for range maxChallenges {
		challenge, done, err := c.challenge(mechanism)
		if err != nil {
			return err
		}
		if done {
			if err := sasl.Finished(client); err != nil {
				return c.link.fail(err)
			}
			c.state.Store(int32(Transaction))
			return nil
		}
		response := initial
		if initial == nil {
			response, err = client.Next(challenge)
		} else if len(challenge) > 0 {
			err = fmt.Errorf("%w: before the initial response", sasl.ErrChallenge)
		}
		initial = nil
		if errors.Is(err, sasl.ErrServerProof) {
			return c.link.fail(err)
		}
		if err != nil {
			return c.cancel(err)
		}
		encoded, shown := base64.StdEncoding.EncodeToString(response), masked
		if encoded == "" {
			shown = "" // has nothing to hide
		}
		if err := c.send(encoded, shown); err != nil {
			return err
		}
	}
	return c.link.fail(fmt.Errorf("%w: more than %d challenges", ErrTooLong, maxChallenges))
}

// challenge reads what the server says in an exchange: a challenge, or its end.
func (c *Client) challenge(mechanism string) (challenge []byte, done bool, err error) {
	c.link.renew()
	line, err := c.link.lineUpTo(maxChallenge)
	if err != nil {
		return nil, false, err
	}
	if encoded, ok := afterWord(line, "+"); ok {
		encoded = bytes.TrimSpace(encoded)
		c.trace(false, "+ "+shownChallenge(mechanism, encoded))
		challenge = make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
		n, err := base64.StdEncoding.Decode(challenge, encoded)
		if err != nil {
			return nil, false, c.cancel(fmt.Errorf("%w: a challenge that is not base64", ErrProtocol))
		}
		return challenge[:n], false, nil
	}
	_, err = c.statusLine("AUTH", line)
	return nil, err == nil, err
}

// shownChallenge is a challenge as the trace has it. Those of SCRAM allow passwords to be tried out, at leisure, on a transcript.
func shownChallenge(mechanism string, encoded []byte) string {
	switch mechanism {
	case sasl.Login, sasl.CRAMMD5, sasl.OAuthBearer, sasl.XOAuth2:
		return printable.Line(string(encoded))
	}
	if len(encoded) == 0 {
		return ""
	}
	return masked
}

// cancel ends an exchange because of err, which it returns: RFC 5034 section 4.
func (c *Client) cancel(err error) error {
	if failed := c.send("*", ""); failed != nil {
		return failed
	}
	_, answer := c.status("AUTH")
	var refused *Error
	switch {
	case errors.As(answer, &refused):
		return err
	case answer != nil:
		return answer
	}
	return c.link.fail(fmt.Errorf("%w: it agreed to an exchange that was cancelled", ErrProtocol))
}
