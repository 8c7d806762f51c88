package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// standard, as a file's name, is standard input or output.
const standard = "-"

func backup(ctx context.Context, admin administrator, c config.Config, env environment) error {
	if c.Args[0] == standard {
		return admin.Backup(ctx, env.stdout)
	}
	return writeWhole(c.Args[0], func(w io.Writer) error { return admin.Backup(ctx, w) })
}

// writeWhole makes a file for its owner alone, which is whole when it has its
// name. It does not replace one.
func writeWhole(name string, write func(io.Writer) error) error {
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is there already", name), err)
	}
	partial := name + ".partial"
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(partial) // nothing, when all went well
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(partial, name)
}

// restore makes a data folder of a backup.
func restore(ctx context.Context, c config.Config, env environment) error {
	in := env.stdin
	if c.Args[0] != standard {
		f, err := os.Open(c.Args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	report, err := mailserver.Restore(ctx, in, c.Data)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "%s has %d accounts and %d messages, and %d recipients wait in its queue.\n", c.Data, report.Accounts, report.Messages, report.Queued)
	return tell(report, env)
}

// fsck looks for inconsistencies. Those that are left are a failure.
func fsck(ctx context.Context, c config.Config, env environment) error {
	report, err := mailserver.Check(ctx, c.Data, filesOf(c.Data), c.Mend)
	if errors.Is(err, mailserver.ErrDataInUse) {
		return fmt.Errorf("%w\nStop that gateway first: what is on its way looks like what is wrong", err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "%d accounts, %d messages in %d files, %d recipients in the queue.\n", report.Accounts, report.Messages, report.Contents, report.Queued)
	if report.Files > 0 {
		fmt.Fprintf(env.stdout, "%d files and folders beside the mail, %s in all.\n", report.Files, size(report.FileOctets))
	}
	return tell(report.Report, env)
}

// written is a name as a terminal can take it: those of files are their users'.
func written(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return strconv.QuoteToGraphic(name)
	}
	return name
}

// tell prints what Check has found.
func tell(report maildrop.Report, env environment) error {
	if report.Missing > 0 {
		fmt.Fprintf(env.stdout, "%d messages are known to be missing: their files are gone.\n", report.Missing)
	}
	if report.Unclaimed > 0 {
		fmt.Fprintf(env.stdout, "%d files are in unclaimed/, for you to look at.\n", report.Unclaimed)
	}
	remedies := 0
	for _, f := range report.Findings {
		fmt.Fprintf(env.stdout, "%s: %s", f.Problem, written(f.What))
		if f.Detail != "" {
			fmt.Fprintf(env.stdout, ": %s", f.Detail)
		}
		switch {
		case f.Mended:
			fmt.Fprintf(env.stdout, " - %s\n", f.Remedy)
		case f.Remedy != "":
			remedies++
			fmt.Fprintf(env.stdout, " - to be mended: %s\n", f.Remedy)
		default:
			fmt.Fprintln(env.stdout, " - not to be mended without guessing")
		}
	}
	switch left := report.Left(); {
	case left == 0:
		_, err := fmt.Fprintln(env.stdout, "All is well.")
		return err
	case remedies > 0:
		return fmt.Errorf("%d inconsistencies are left, of which postern fsck --mend can mend %d", left, remedies)
	default:
		return fmt.Errorf("%d inconsistencies are left, which are for you to judge", left)
	}
}
