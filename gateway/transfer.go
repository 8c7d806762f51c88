package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/mailserver/mailbox"
)

const (
	maildir = "maildir"
	mbox    = "mbox"
)

var errForm = errors.New("mail is imported and exported as maildir or as mbox")

func importMail(ctx context.Context, admin administrator, c config.Config, env environment) error {
	form, path, account := c.Args[0], c.Args[1], c.Args[2]
	var messages iter.Seq2[mailbox.Message, error]
	switch form {
	case maildir:
		messages = mailbox.ReadMaildir(path)
	case mbox:
		in := env.stdin
		if path != standard {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		messages = mailbox.ReadMbox(in)
	default:
		return errForm
	}
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := mailbox.WriteTar(w, messages)
		w.CloseWithError(err)
		written <- err
	}()
	n, err := admin.Import(ctx, account, r)
	r.CloseWithError(errStopped)
	if werr := <-written; werr != nil && !errors.Is(werr, errStopped) {
		err = werr // the reason for what the administrator says of it
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "%d messages imported, %d were there already.\n", n.Added, n.Skipped)
	return err
}

// errStopped ends the other side of a pipe, whose own error it is not.
var errStopped = errors.New("stopped")

func exportMail(ctx context.Context, admin administrator, c config.Config, env environment) error {
	form, account, path := c.Args[0], c.Args[1], c.Args[2]
	r, w := io.Pipe()
	exported := make(chan error, 1)
	go func() {
		err := admin.Export(ctx, account, w)
		w.CloseWithError(err)
		exported <- err
	}()
	say, err := write(form, path, mailbox.ReadTar(r), env.stdout)
	r.CloseWithError(errStopped)
	// What the other side says is the reason for what this one says of it.
	if xerr := <-exported; xerr != nil && !errors.Is(xerr, errStopped) {
		err = xerr
	}
	if err != nil || path == standard {
		return err
	}
	_, err = fmt.Fprintln(env.stdout, say)
	return err
}

// write puts messages into a Maildir or an mbox, and says what it did.
func write(form, path string, messages iter.Seq2[mailbox.Message, error], stdout io.Writer) (say string, err error) {
	switch form {
	case maildir:
		added, skipped, err := mailbox.WriteMaildir(path, messages)
		return fmt.Sprintf("%d messages exported, %d were there already.", added, skipped), err
	case mbox:
		written := 0
		if path == standard {
			_, err := mailbox.WriteMbox(stdout, messages)
			return "", err
		}
		err := writeWhole(path, func(w io.Writer) (err error) {
			written, err = mailbox.WriteMbox(w, messages)
			return err
		})
		return fmt.Sprintf("%d messages exported.", written), err
	}
	return "", errForm
}
