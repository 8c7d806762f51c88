package engine

import (
	"bytes"
	"context"
	"io"

	"github.com/postern-mail/postern/shared/pop3"
)

// topAll is pop3.Client.TopAll, one at a time.
func topAll(ctx context.Context, c *pop3.Client, msgs []pop3.Listing, lines int, fn func(number int, body io.Reader) error) error {
	for _, m := range msgs {
		var b bytes.Buffer
		_, err := c.Top(ctx, m.Number, lines, &b)
		var body io.Reader = &b
		if refused := refusal(err); refused != nil {
			body = failing{refused}
		} else if err != nil {
			return err
		}
		if err := fn(m.Number, body); err != nil {
			return err
		}
	}
	return nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// deleAll is pop3.Client.DeleAll, one at a time.
func deleAll(ctx context.Context, c *pop3.Client, numbers []int, fn func(number int, err error) error) error {
	for _, n := range numbers {
		err := c.Dele(ctx, n)
		if err != nil && refusal(err) == nil {
			return err
		}
		if err := fn(n, err); err != nil {
			return err
		}
	}
	return nil
}
