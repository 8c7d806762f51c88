package pop3

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"
)

const bufferSize = 128 << 10

type Client struct{}

func New(conn net.Conn, o *Options) *Client { return &Client{} }

type State int32

const (
	Authorization State = iota
	Transaction
	Update
	Closed
)

type Listing struct {
	Number int
	Size   int64
}
type UniqueID struct {
	Number int
	UID    string
}
type Capabilities struct {
	Pipelining, STLS, Top, UIDL, User, RespCodes, Wait bool
	SASL                                               []string
	Implementation                                     string
	Lines                                              []string
}

func (c *Client) State() State                                                     { return 0 }
func (c *Client) TLS() (tls.ConnectionState, bool)                                 { return tls.ConnectionState{}, false }
func (c *Client) Capa(ctx context.Context) (*Capabilities, error)                  { return nil, nil }
func (c *Client) STLS(ctx context.Context, config *tls.Config) error               { return nil }
func (c *Client) Login(ctx context.Context, user, password string) error           { return nil }
func (c *Client) Stat(ctx context.Context) (count int, octets int64, err error)    { return }
func (c *Client) List(ctx context.Context) ([]Listing, error)                      { return nil, nil }
func (c *Client) UIDL(ctx context.Context) ([]UniqueID, error)                     { return nil, nil }
func (c *Client) Retr(ctx context.Context, number int, w io.Writer) (int64, error) { return 0, nil }
func (c *Client) Top(ctx context.Context, number, lines int, w io.Writer) (int64, error) {
	return 0, nil
}
func (c *Client) RetrAll(ctx context.Context, msgs []Listing, fn func(number int, body io.Reader) error) error {
	return nil
}
func (c *Client) Dele(ctx context.Context, number int) error                          { return nil }
func (c *Client) Rset(ctx context.Context) error                                      { return nil }
func (c *Client) Noop(ctx context.Context) error                                      { return nil }
func (c *Client) Quit(ctx context.Context) error                                      { return nil }
func (c *Client) Close() error                                                        { return nil }
func (c *Client) Wait(ctx context.Context, d time.Duration) (changed bool, err error) { return }
