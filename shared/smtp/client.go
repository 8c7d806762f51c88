// Package smtp submits mail.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

type Options struct {
	LocalName          string
	Timeout            time.Duration
	BlockTimeout       time.Duration
	FinalTimeout       time.Duration
	AllowPlaintextAuth bool
	Progress           func(sent int64)
	Trace              func(Exchange)
}
type Exchange struct {
	Sent bool
	Line string
}
type Envelope struct {
	From string
	To   []string
	Size int64
	UTF8 bool
}
type Receipt struct {
	Text    string
	Refused []RecipientError
}
type RecipientError struct {
	Recipient string
	Err       *Error
}
type RecipientsError struct{ Refused []RecipientError }

func (e *RecipientsError) Error() string { return "" }

type Error struct {
	Code     int
	Enhanced string
	Text     string
	Command  string
}

func (e *Error) Error() string   { return "" }
func (e *Error) Temporary() bool { return false }

type TooLargeError struct{ Size, Limit int64 }

func (e *TooLargeError) Error() string { return "" }

var (
	ErrUnknown     = errors.New("smtp: cut between the final dot and its answer: the message may have been accepted")
	ErrState       = errors.New("smtp: connection is closed")
	ErrProtocol    = errors.New("smtp: the server does not speak SMTP")
	ErrUnsupported = errors.New("smtp: not supported by the server")
	ErrArgument    = errors.New("smtp: argument cannot be sent")
	ErrPlaintext   = errors.New("smtp: password not sent over a connection without TLS")
)

type Client struct{}

func New(conn net.Conn, o *Options) *Client                              { return &Client{} }
func (c *Client) StartTLS(ctx context.Context, config *tls.Config) error { return nil }
func (c *Client) Auth(ctx context.Context, user, password string) error  { return nil }
func (c *Client) Send(ctx context.Context, e Envelope, r io.Reader) (*Receipt, error) {
	return nil, nil
}
func (c *Client) Noop(ctx context.Context) error { return nil }
func (c *Client) Quit(ctx context.Context) error { return nil }
func (c *Client) Close() error                   { return nil }
