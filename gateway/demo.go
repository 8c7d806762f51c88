package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/wire"
)

// demoAccounts are the two people who try Postern out. Their passwords are the same everywhere: nobody is to mistake
// them for secrets, and --demo is not for a server on the Internet.
func demoAccounts(c config.Config) []wire.DemoAccount {
	domain := c.Domains[0]
	return []wire.DemoAccount{
		{Name: "Alice", Email: "alice@" + domain, Password: "alice-postern"},
		{Name: "Bob", Email: "bob@" + domain, Password: "bob-postern"},
	}
}

// welcomed is a file in the data folder: the demo accounts have had their first mail.
const welcomed = "demo-welcomed"

// welcomeTime bounds the delivery of the first mails, which go over loopback.
const welcomeTime = 10 * time.Second

// furnish makes the demo accounts, and sends each a message the first time. A message that cannot be sent is no reason
// not to start.
func furnish(ctx context.Context, c config.Config, server *mailserver.Server, logger *slog.Logger) error {
	for _, a := range demoAccounts(c) {
		if err := server.EnsureUser(ctx, mailserver.Account{Email: a.Email, Name: a.Name, Password: a.Password}); err != nil {
			return fmt.Errorf("the demo account %s cannot be made: %w", a.Email, err)
		}
	}
	addr, ok := server.Addr(mailserver.SMTP).(*net.TCPAddr)
	mark := filepath.Join(c.Data, welcomed)
	if _, err := os.Stat(mark); !ok || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, welcomeTime)
	defer cancel()
	err := welcome(ctx, c, local(addr))
	if err == nil {
		err = os.WriteFile(mark, nil, 0o600)
	}
	if err != nil && ctx.Err() == nil {
		logger.Warn("the demo accounts' first mail was not delivered", "error", err)
	}
	return nil
}

// welcome delivers the first mails as any other server would: over SMTP.
func welcome(ctx context.Context, c config.Config, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	client := smtp.New(conn, &smtp.Options{LocalName: "localhost"})
	defer client.Close()
	from := mail.Address{Name: "Postern", Addr: "postmaster@" + c.Domains[0]}
	accounts := demoAccounts(c)
	for i, a := range accounts {
		other := accounts[1-i]
		message, err := mail.Compose(mail.Draft{
			From: from, To: []mail.Address{{Name: a.Name, Addr: a.Email}},
			Subject: "Welcome to Postern", Text: fmt.Sprintf(welcomeText, a.Name, other.Name, other.Email),
			Date: time.Now(), MessageID: mail.NewMessageID(c.Domains[0]),
		})
		if err != nil {
			return err
		}
		envelope := smtp.Envelope{From: from.Addr, To: []string{a.Email}, Size: int64(len(message))}
		if _, err := client.Send(ctx, envelope, bytes.NewReader(message)); err != nil {
			return err
		}
	}
	return client.Quit(ctx)
}

const welcomeText = `Hello %[1]s,

this message has come the whole way: a mail server took it by SMTP and put it into your mailbox, and your browser fetched it from there by POP3, over a connection that is encrypted all the way to this page.

Some things to try:

  * Write to %[2]s (%[3]s). Open this page in another browser, or in a private window, sign in there as %[2]s, and see the message arrive.
  * Stop the gateway and load the page again. Your mail is still here: it is kept on your own device.
  * Write a message while the gateway is stopped. It waits in the Outbox and leaves when the gateway is back.
  * Point any other mail program, or curl, at the ports that the gateway printed when it started.

Postern
`
