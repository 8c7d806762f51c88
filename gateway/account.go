package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/mailserver"
)

// maxPassword bounds the line that is read as a password.
const maxPassword = 1024

// account makes an account of the embedded server, or changes its password.
func account(ctx context.Context, c config.Config, env environment) error {
	if len(c.Args) != 1 {
		return errors.New("account needs one address: postern account user@domain, with the password on standard input")
	}
	fmt.Fprintf(env.stderr, "Password for %s: ", c.Args[0])
	line, err := bufio.NewReader(io.LimitReader(env.stdin, maxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the password: %w", err)
	}
	password := strings.TrimRight(line, "\r\n")
	if password == "" || len(password) > maxPassword {
		return fmt.Errorf("the password must have 1 to %d octets", maxPassword)
	}
	c.SMTP, c.Submission, c.Submissions, c.POP3, c.POP3S = "", "", "", "", ""
	mail, err := openMail(ctx, c, nil)
	if err != nil {
		return err
	}
	err = mail.EnsureUser(ctx, mailserver.Account{Email: c.Args[0], Password: password})
	if err := errors.Join(err, mail.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "%s can sign in.\n", c.Args[0])
	return err
}
