package ftp_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/mailtest"
)

// step is one call of a tour through all that the client says.
type step struct {
	name string
	do   func(context.Context, *ftp.Client) error
}

var then = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

func tour() []step {
	return []step{
		{"login", func(ctx context.Context, c *ftp.Client) error { return c.Login(ctx, "bob", "bob-pw") }},
		{"MKD", func(ctx context.Context, c *ftp.Client) error { _, err := c.Mkd(ctx, "dir"); return err }},
		{"CWD", func(ctx context.Context, c *ftp.Client) error { _, err := c.Cwd(ctx, "dir"); return err }},
		{"CDUP", func(ctx context.Context, c *ftp.Client) error { _, err := c.Cdup(ctx); return err }},
		{"STOR", func(ctx context.Context, c *ftp.Client) error {
			_, err := c.Stor(ctx, "a", 0, strings.NewReader("content"))
			return err
		}},
		{"STOR from", func(ctx context.Context, c *ftp.Client) error {
			_, err := c.Stor(ctx, "a", 4, strings.NewReader("ENT"))
			return err
		}},
		{"APPE", func(ctx context.Context, c *ftp.Client) error {
			_, err := c.Appe(ctx, "a", strings.NewReader("!"))
			return err
		}},
		{"RETR", func(ctx context.Context, c *ftp.Client) error {
			var got strings.Builder
			_, err := c.Retr(ctx, "a", 0, 8, &got)
			if err == nil && got.String() != "contENT!" {
				return fmt.Errorf("taken for whole: %q", got.String())
			}
			return err
		}},
		{"RETR from", func(ctx context.Context, c *ftp.Client) error {
			var got strings.Builder
			_, err := c.Retr(ctx, "a", 4, -1, &got)
			if err == nil && got.String() != "ENT!" {
				return fmt.Errorf("taken for whole: %q", got.String())
			}
			return err
		}},
		{"list", func(ctx context.Context, c *ftp.Client) error {
			names := 0
			for _, err := range c.List(ctx, "") {
				if err != nil {
					return err
				}
				names++
			}
			if names != 2 {
				return fmt.Errorf("taken for whole: %d names", names)
			}
			return nil
		}},
		{"SIZE", func(ctx context.Context, c *ftp.Client) error { _, err := c.Size(ctx, "a"); return err }},
		{"MDTM", func(ctx context.Context, c *ftp.Client) error { _, err := c.Mdtm(ctx, "a"); return err }},
		{"MFMT", func(ctx context.Context, c *ftp.Client) error { return c.Mfmt(ctx, "a", then) }},
		{"MLST", func(ctx context.Context, c *ftp.Client) error { _, err := c.Stat(ctx, "a"); return err }},
		{"rename", func(ctx context.Context, c *ftp.Client) error { return c.Rename(ctx, "a", "b") }},
		{"DELE", func(ctx context.Context, c *ftp.Client) error { return c.Dele(ctx, "b") }},
		{"RMD", func(ctx context.Context, c *ftp.Client) error { return c.Rmd(ctx, "dir") }},
		{"NOOP", func(ctx context.Context, c *ftp.Client) error { return c.Noop(ctx) }},
		{"QUIT", func(ctx context.Context, c *ftp.Client) error { return c.Quit(ctx) }},
	}
}

// travel goes on a tour, and stops at the first error.
func travel(t testing.TB, server *mailtest.FTP, f *mailtest.Faults) (c *ftp.Client, at string, err error) {
	t.Helper()
	c = ftp.New(mailtest.Connect(t, server, f), &ftp.Options{Dial: server.Dial, AllowPlaintextAuth: true})
	t.Cleanup(func() { c.Close() })
	for _, s := range tour() {
		if err := s.do(t.Context(), c); err != nil {
			return c, s.name, err
		}
	}
	return c, "", nil
}

// octetsOfTour counts what the server says on the control connection.
func octetsOfTour(t *testing.T) (n int64) {
	server := mailtest.NewFTP()
	c := ftp.New(mailtest.Connect(t, server, nil), &ftp.Options{Dial: server.Dial, AllowPlaintextAuth: true, Trace: func(e ftp.Exchange) {
		if !e.Sent && !e.Note && e.Data == 0 {
			n += int64(len(e.Line)) + 2
		}
	}})
	defer c.Close()
	for _, s := range tour() {
		if err := s.do(t.Context(), c); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	return n
}

// The control connection is cut after every octet: no call returns success that was not, and the session is over.
func TestCutAnywhere(t *testing.T) {
	for at := range octetsOfTour(t) {
		if at == 0 {
			at = -1
		}
		c, name, err := travel(t, mailtest.NewFTP(), &mailtest.Faults{CutAfter: at})
		if !errors.Is(err, io.ErrUnexpectedEOF) || c.State().Phase != ftp.Closed {
			t.Errorf("cut after %d octets: %s: %v, state %v", at, name, err, c.State().Phase)
		}
	}
}

// The replies come in two pieces, parted after every octet.
func TestSplitAnywhere(t *testing.T) {
	for at := range octetsOfTour(t) {
		if _, name, err := travel(t, mailtest.NewFTP(), &mailtest.Faults{SplitAt: []int64{at}}); err != nil {
			t.Errorf("split after %d octets: %s: %v", at, name, err)
		}
	}
}

// The control connection stalls after every octet: its time ends.
func TestStallAnywhere(t *testing.T) {
	octets := octetsOfTour(t)
	synctest.Test(t, func(t *testing.T) {
		for at := int64(1); at < octets; at++ {
			c, name, err := travel(t, mailtest.NewFTP(), &mailtest.Faults{StallAfter: at})
			if !errors.Is(err, os.ErrDeadlineExceeded) || c.State().Phase != ftp.Closed {
				t.Errorf("stall after %d octets: %s: %v, state %v", at, name, err, c.State().Phase)
			}
		}
	})
}

// Data is cut after every octet. In plain text that looks like its end: what is known of the size tells, and nothing else can.
func TestDataCutAnywhere(t *testing.T) {
	for at := range int64(7) {
		server := mailtest.NewFTP()
		server.Files.Put("/a", []byte("content"))
		server.DataFaults = &mailtest.Faults{CutAfter: max(at, 1) - 2*(1-min(at, 1))}
		c := open(t, server, ftp.Options{})
		if n, err := c.Retr(t.Context(), "a", 0, 7, io.Discard); !errors.Is(err, ftp.ErrTruncated) || n != at {
			t.Errorf("cut after %d octets: %d came, %v", at, n, err)
		}
		alive(t, c)
	}
}

// stages are the replies of a tour, by the verb that they answer.
var stages = []string{"", "USER", "PASS", "FEAT", "OPTS", "PWD", "MKD", "CWD", "CDUP", "TYPE", "EPSV", "STOR", "DONE", "REST", "APPE", "RETR", "MLSD",
	"SIZE", "MDTM", "MFMT", "MLST", "RNFR", "RNTO", "DELE", "RMD", "NOOP", "QUIT"}

// What is said in the place of each reply, and what becomes of the session.
func TestEveryStage(t *testing.T) {
	optional := map[string]bool{"FEAT": true, "OPTS": true, "PWD": true, "EPSV": true} // a refusal is got over
	for _, stage := range stages {
		for name, c := range map[string]struct {
			reply string
			want  error // nil for a refusal
			open  bool
		}{
			"5yz":                   {"550 no\r\n", nil, true},
			"4yz":                   {"450-no\r\n450-\r\n450 not now\r\n", nil, true},
			"unknown":               {"500 what?\r\n", nil, true},
			"421":                   {"421 going down\r\n", nil, false},
			"6yz":                   {"620 what?\r\n", ftp.ErrProtocol, false},
			"nonsense":              {"\x00\x01\xff\r\n", ftp.ErrProtocol, false},
			"an empty line":         {"\r\n", ftp.ErrProtocol, false},
			"another protocol":      {"+OK\r\n", ftp.ErrProtocol, false},
			"a long line":           {"250 " + strings.Repeat("a", 9000) + "\r\n", ftp.ErrTooLong, false},
			"a long reply":          {strings.Repeat("250-a\r\n", 20_000), ftp.ErrTooLong, false},
			"a line without end":    {strings.Repeat("\xff", 100_000), ftp.ErrTooLong, false},
			"something preliminary": {"125 what?\r\n", ftp.ErrProtocol, false},
		} {
			preliminary := stage == "STOR" || stage == "APPE" || stage == "RETR" || stage == "MLSD"
			if name == "something preliminary" && (preliminary || stage == "") || name == "unknown" && stage == "MLSD" {
				continue
			}
			t.Run(stage+"/"+name, func(t *testing.T) {
				server := mailtest.NewFTP()
				server.Fault = func(at string, nth int) *mailtest.FTPFault {
					if at == stage && nth == 1 {
						return &mailtest.FTPFault{Reply: c.reply}
					}
					return nil
				}
				client, at, err := travel(t, server, nil)
				var refused *ftp.Error
				isRefusal := errors.As(err, &refused)
				switch {
				case c.want != nil && (!errors.Is(err, c.want) || client.State().Phase != ftp.Closed):
					t.Errorf("at %s: %v, state %v", at, err, client.State().Phase)
				case c.want != nil:
				case c.open && optional[stage]:
					if isRefusal && refused.Code/100 > 5 || errors.Is(err, ftp.ErrProtocol) {
						t.Errorf("at %s: %v", at, err)
					}
				case !isRefusal || refused.Code/100 < 4 || len(refused.Lines) == 0:
					t.Errorf("at %s: %v", at, err)
				case stage == "" || stage == "QUIT" || !c.open:
					if client.State().Phase != ftp.Closed {
						t.Errorf("at %s: state %v", at, client.State().Phase)
					}
				default:
					if s := client.State(); s.Transfer != "" || s.RenameFrom != "" || s.Restart != 0 {
						t.Errorf("at %s: state %+v", at, s)
					}
					if err := client.Noop(t.Context()); err != nil {
						t.Errorf("NOOP after it: %v", err)
					}
				}
			})
		}
	}
}

// A reply that comes twice: the second is nobody's, and is not taken for the answer to the next command, nor that to the
// beginning of a transfer for its end.
func TestOutOfTurn(t *testing.T) {
	replies := map[string]string{"": "220 ready\r\n", "USER": "331 ok\r\n", "PASS": "230 in\r\n", "PWD": "257 \"/\"\r\n", "FEAT": "211-\r\n MLST type*;\r\n MDTM\r\n211 these\r\n",
		"STOR": "150 ok\r\n", "APPE": "150 ok\r\n", "RETR": "150 ok\r\n", "MLSD": "150 ok\r\n", "DONE": "226 ok\r\n",
		"REST": "350 ok\r\n", "RNFR": "350 ok\r\n", "SIZE": "213 1\r\n", "MDTM": "213 20200101000000\r\n",
		"EPSV": "229 (|||30001|)\r\n", "MLST": "250-a\r\n type=file; a\r\n250 b\r\n"}
	for _, stage := range stages {
		if stage == "QUIT" {
			continue
		}
		server := mailtest.NewFTP()
		server.Fault = func(at string, nth int) *mailtest.FTPFault {
			if at != stage || nth != 1 {
				return nil
			}
			reply := cmp.Or(replies[stage], "250 ok\r\n")
			return &mailtest.FTPFault{Reply: reply + reply, Accept: true}
		}
		c, at, err := travel(t, server, nil)
		if !errors.Is(err, ftp.ErrProtocol) || c.State().Phase != ftp.Closed {
			t.Errorf("%s: at %s: %v, state %v", stage, at, err, c.State().Phase)
		}
	}
}
