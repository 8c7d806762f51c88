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

	"github.com/postern-mail/postern/gateway/ftpserver/files"
	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/wire"
)

// demoAccounts are the people who try Postern out, of each server of the demo world. Their passwords are the same
// everywhere: nobody is to mistake them for secrets, and --demo is not for a server on the Internet.
func demoAccounts(world embedded) [][]wire.DemoAccount {
	people := [][]wire.DemoAccount{
		{{Name: "Alice", Email: "alice", Password: "alice-postern"}, {Name: "Bob", Email: "bob", Password: "bob-postern"}},
		{{Name: "Carol", Email: "carol", Password: "carol-postern"}},
	}
	for i, server := range world.Servers() {
		for j := range people[i] {
			people[i][j].Email += "@" + server.Domains()[0]
		}
	}
	return people
}

// welcomed is a file in the data folder: the demo accounts have had their first mail.
const welcomed = "demo-welcomed"

// welcomeTime bounds the delivery of the first mails, which go over loopback.
const welcomeTime = 10 * time.Second

// furnish makes the demo accounts, the first of each server its administrator, and sends each a message the first time. A message that cannot be sent is no reason
// not to start.
func furnish(ctx context.Context, world embedded, ftp fileServers, logger *slog.Logger) error {
	people := demoAccounts(world)
	for i, server := range world.Servers() {
		for j, a := range people[i] {
			if err := server.EnsureUser(ctx, mailserver.Account{Email: a.Email, Name: a.Name, Password: a.Password}); err != nil {
				return fmt.Errorf("the demo account %s cannot be made: %w", a.Email, err)
			}
			if j > 0 {
				continue
			}
			if err := server.Admin().SetAdmin(ctx, a.Email, true); err != nil {
				return fmt.Errorf("the demo account %s cannot be made an administrator: %w", a.Email, err)
			}
		}
		if s := ftp.of(i); s != nil {
			if err := provide(ctx, server, s, people[i]); err != nil && ctx.Err() == nil {
				logger.Warn("the demo accounts' first files were not made", "server", server.Hostname(), "error", err)
			}
		}
		addr, ok := server.Addr(mailserver.SMTP).(*net.TCPAddr)
		mark := filepath.Join(server.Dir(), welcomed)
		if _, err := os.Stat(mark); !ok || !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		within, cancel := context.WithTimeout(ctx, welcomeTime)
		err := welcome(within, server, local(addr), people, i)
		cancel()
		if err == nil {
			err = os.WriteFile(mark, nil, 0o600)
		}
		if err != nil && ctx.Err() == nil {
			logger.Warn("the demo accounts' first mail was not delivered", "server", server.Hostname(), "error", err)
		}
	}
	return nil
}

// provided is a file in the data folder: the demo accounts have had their first files.
const provided = "demo-files"

// provide gives the people of a server some files to try FTP with.
func provide(ctx context.Context, server *mailserver.Server, s *fileServer, people []wire.DemoAccount) error {
	mark := filepath.Join(server.Dir(), provided)
	if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, a := range people {
		id, err := server.Identify(ctx, a.Email)
		if err != nil {
			return err
		}
		if err := fill(s, id, samples(a.Name)); err != nil {
			return err
		}
	}
	return os.WriteFile(mark, nil, 0o600)
}

// fill puts files into a user's folder. Those with nothing in them are folders.
func fill(s *fileServer, id string, list [][2]string) error {
	folder, err := s.store.Folder(id, s.quota)
	if err != nil {
		return err
	}
	defer folder.Close()
	for _, f := range list {
		name, content := f[0], f[1]
		if content == "" {
			if err := folder.Mkdir(name); err != nil && !errors.Is(err, files.ErrExists) {
				return err
			}
			continue
		}
		u, err := folder.Upload(name, 0, func() {})
		if err != nil {
			return err
		}
		if _, err = u.Write([]byte(content)); err != nil {
			u.Cut(err)
		}
		if err := u.Close(); err != nil {
			return err
		}
	}
	return nil
}

// samples are somebody's first files: folders before what is in them.
func samples(name string) [][2]string {
	return [][2]string{
		{"/Read me.txt", fmt.Sprintf("Hello %s,\n\nthis folder is yours: nobody else gets at it, and whatever you put here stays until you delete it.\n", name)},
		{"/Letters", ""},
		{"/Letters/To the neighbours.txt", "Dear neighbours,\n\nthe parcels are with me.\n"},
		{"/Letters/手紙.txt", "お元気ですか。\n"},
		{"/Lists", ""},
		{"/Lists/Groceries.csv", "what,how much\nbread,1\napples,6\ncoffee,500 g\n"},
		{"/Pictures", ""},
		{"/Pictures/Gate.svg", `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M4 22V10a8 8 0 0 1 16 0v12z" fill="#2b5d8a"/><path d="M8 22V11a4 4 0 0 1 8 0v11z" fill="#f4efe6"/></svg>` + "\n"},
	}
}

// welcome delivers the first mails to the people of a server as any other server would: over SMTP.
func welcome(ctx context.Context, server *mailserver.Server, address string, people [][]wire.DemoAccount, at int) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	client := smtp.New(conn, &smtp.Options{LocalName: "localhost"})
	defer client.Close()
	domain := server.Domains()[0]
	from := mail.Address{Name: "Postern", Addr: "postmaster@" + domain}
	far := people[(at+1)%len(people)][0] // somebody of the other server
	for i, a := range people[at] {
		near := people[at][(i+1)%len(people[at])] // of this one, or the same
		message, err := mail.Compose(mail.Draft{
			From: from, To: []mail.Address{{Name: a.Name, Addr: a.Email}},
			Subject: "Welcome to Postern", Text: welcomeText(a, near, far),
			Date: time.Now(), MessageID: mail.NewMessageID(domain),
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

// welcomeText is what somebody reads first: of a neighbour at the same server, if there is one, and of somebody at another.
func welcomeText(a, near, far wire.DemoAccount) string {
	first := ""
	if near != a {
		first = fmt.Sprintf(`  * Write to %[1]s (%[2]s). Open this page in another browser, or in a private window, sign in there as %[1]s, and see the message arrive.
`, near.Name, near.Email)
	}
	return fmt.Sprintf(`Hello %[1]s,

this message has come the whole way: a mail server took it by SMTP and put it into your mailbox, and your browser fetched it from there by POP3, over a connection that is encrypted all the way to this page.

Some things to try:

%[4]s  * Write to %[2]s (%[3]s), who is at home at another mail server: your server looks it up, connects to it, and hands the message over.
  * Let things go wrong on that way, and see the message wait, be tried again, and arrive or come back: "postern world" on the command line shows how.
  * Stop the gateway and load the page again. Your mail is still here: it is kept on your own device.
  * Write a message while the gateway is stopped. It waits in the Outbox and leaves when the gateway is back.
  * Point any other mail program, or curl, at the ports that the gateway printed when it started.

Postern
`, a.Name, far.Name, far.Email, first)
}
