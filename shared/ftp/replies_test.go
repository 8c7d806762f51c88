package ftp_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/mailtest"
)

// saying logs in to a server that says reply to a command, after the first nth of them.
func saying(t *testing.T, verb, reply string) *ftp.Client {
	t.Helper()
	server := mailtest.NewFTP()
	seen := 0
	server.Fault = func(stage string, _ int) *mailtest.FTPFault {
		if stage != verb {
			return nil
		}
		if seen++; verb == "PWD" && seen == 1 {
			return nil // of the login
		}
		return &mailtest.FTPFault{Reply: reply}
	}
	return open(t, server, ftp.Options{})
}

func TestWhereOneIs(t *testing.T) {
	for reply, want := range map[string]string{
		`257 "/a" is where you are`:            "/a",
		`257 "/a"`:                             "/a",
		`257 "/with blanks" here`:              "/with blanks",
		`257 "/say ""hello"" to" here`:         `/say "hello" to`,
		`257 """quoted"""`:                     `"quoted"`,
		`257 "/one"quote" here`:                `/one"quote`, // pure-ftpd
		`257 /no/quotes is where you are`:      "/no/quotes",
		`257 "C:\files" is current`:            `C:\files`,
		"257-two\r\n257 \"/lines\" here":       "/lines",
		"257 \"/caf\xe9\"":                     "/caf\xe9",
		"257 Broadcast path \"/x\" is current": "/x",
		`257 no path`:                          "",
		`257 ""`:                               "",
		`257 "/never ends`:                     "",
		`257`:                                  "",
	} {
		c := saying(t, "PWD", reply+"\r\n")
		dir, err := c.Pwd(t.Context())
		switch {
		case want == "" && (!errors.Is(err, ftp.ErrProtocol) || c.State().Phase != ftp.Closed):
			t.Errorf("%q: at %q, %v", reply, dir, err)
		case want != "" && (err != nil || dir != want || c.State().Dir != want):
			t.Errorf("%q: at %q, state %q, %v", reply, dir, c.State().Dir, err)
		}
	}
}

func TestSizes(t *testing.T) {
	for reply, want := range map[string]int64{
		"213 0": 0, "213 12": 12, "213  12 ": 12, "213 1125899906842624": 1 << 50,
		"213 1125899906842625": -1, "213 -1": -1, "213 +1": -1, "213 1,000": -1, "213 1.5": -1, "213": -1, "213 many": -1, "213 99999999999999999999": -1, "250 12": -1,
	} {
		c := saying(t, "SIZE", reply+"\r\n")
		n, err := c.Size(t.Context(), "a")
		if want >= 0 && (n != want || err != nil) || want < 0 && (n != 0 || !errors.Is(err, ftp.ErrProtocol)) {
			t.Errorf("%q: %d, %v", reply, n, err)
		}
	}
}

func TestTimes(t *testing.T) {
	at := func(y, m, d, h, min, s, ns int) time.Time {
		return time.Date(y, time.Month(m), d, h, min, s, ns, time.UTC)
	}
	for reply, want := range map[string]time.Time{
		"213 20240229123456":     at(2024, 2, 29, 12, 34, 56, 0),
		"213 20240229123456.789": at(2024, 2, 29, 12, 34, 56, 789e6),
		"213 191240229123456":    at(2024, 2, 29, 12, 34, 56, 0), // 1900 and 124 years
		"213 19991231235959":     at(1999, 12, 31, 23, 59, 59, 0),
		"213 19700101000000":     at(1970, 1, 1, 0, 0, 0, 0),
		"213 20230229123456":     {}, // no such day
		"213 20240229":           {},
		"213 2024022912345":      {},
		"213 yesterday":          {},
		"213":                    {},
		"250 20240229123456":     {},
	} {
		c := saying(t, "MDTM", reply+"\r\n")
		got, err := c.Mdtm(t.Context(), "a")
		if !got.Equal(want) || (err == nil) == want.IsZero() {
			t.Errorf("%q: %v, %v", reply, got, err)
		}
		alive(t, c) // a time that cannot be read is no reason to end
	}
}

func TestFeatures(t *testing.T) {
	c := saying(t, "FEAT", "211-Extensions:\r\n mdtm\r\n MLST size*;type*;\r\n REST STREAM\r\n utf8\r\n AUTH SSL;TLS;TLS-C\r\n\r\n EPSV\x1b[31m\r\n211 End\r\n")
	f, err := c.Features(t.Context())
	if err != nil || !f.MDTM || !f.MLST || !f.Restart || !f.UTF8 || !f.AuthTLS || f.Size || f.MFMT {
		t.Errorf("%+v, %v", f, err)
	}
	if want := []string{"mdtm", "MLST size*;type*;", "REST STREAM", "utf8", "AUTH SSL;TLS;TLS-C", "EPSV [31m"}; !slices.Equal(f.Lines, want) {
		t.Errorf("%q", f.Lines)
	}
	for _, none := range []string{"211 none\r\n", "502 what?\r\n", "211-none\r\n211 end\r\n"} {
		if f, err := saying(t, "FEAT", none).Features(t.Context()); err != nil || len(f.Lines) != 0 || f.UTF8 {
			t.Errorf("%q: %+v, %v", none, f, err)
		}
	}
}

// What refusals are of a kind, by code and words; and that each has a sentence.
func TestKinds(t *testing.T) {
	kinds := []error{ftp.ErrNotLoggedIn, ftp.ErrAccount, ftp.ErrNoFile, ftp.ErrExists, ftp.ErrNotAllowed, ftp.ErrNoRoom, ftp.ErrBusy, ftp.ErrNoData, ftp.ErrNeedsTLS, ftp.ErrUnsupported}
	for reply, want := range map[string][]error{
		"550 No such file or directory":                       {ftp.ErrNoFile},
		"550 Datei nicht gefunden":                            {ftp.ErrNoFile},
		"550 Failed to change directory.":                     {ftp.ErrNoFile},
		"550 Permission denied":                               {ftp.ErrNotAllowed},
		"550 Can't remove directory: Directory not empty":     {ftp.ErrNotAllowed},
		"550 x: File exists":                                  {ftp.ErrExists},
		"550 Disk full - please upload later":                 {ftp.ErrNoRoom},
		"553 Prohibited file name":                            {ftp.ErrNotAllowed},
		"553 Can't open that file: No such file or directory": {ftp.ErrNoFile},
		"552 Quota exceeded":                                  {ftp.ErrNoRoom},
		"452 No space left":                                   {ftp.ErrNoRoom},
		"451 Disk quota exceeded":                             {ftp.ErrNoRoom},
		"450 in use":                                          {ftp.ErrBusy},
		"451 Error":                                           {ftp.ErrBusy},
		"425 Can't open data connection":                      {ftp.ErrNoData},
		"426 Connection closed":                               {ftp.ErrNoData},
		"500 What?":                                           {ftp.ErrUnsupported},
		"502 Not implemented":                                 {ftp.ErrUnsupported},
		"504 Not for that parameter":                          {ftp.ErrUnsupported},
		"530 Please log in":                                   {ftp.ErrNotLoggedIn},
		"530 Non-anonymous sessions must use encryption.":     {ftp.ErrNeedsTLS, ftp.ErrNotLoggedIn},
		"550 SSL/TLS required on the data channel":            {ftp.ErrNeedsTLS, ftp.ErrNoFile},
		"522 SSL connection failed: session reuse required":   {ftp.ErrNoData, ftp.ErrNeedsTLS},
		"521 data connection cannot be opened with this PROT": {ftp.ErrNeedsTLS},
		"532 Need account":                                    {ftp.ErrAccount},
		"503 Bad sequence":                                    nil,
		"599 x":                                               nil,
		"550-\x1b[31mNo\r\n550-such\r\n and it is not allowed\r\n550  file\x00": {ftp.ErrNotAllowed},
	} {
		c := saying(t, "DELE", reply+"\r\n")
		err := c.Dele(t.Context(), "a")
		var refused *ftp.Error
		if !errors.As(err, &refused) || refused.Command != "DELE" || !strings.HasPrefix(reply, "550-") && refused.Text() != reply[4:] || strings.ContainsAny(err.Error(), "\x1b\x00\r\n") {
			t.Errorf("%q: %v", reply, err)
			continue
		}
		for _, k := range kinds {
			if errors.Is(err, k) != slices.Contains(want, k) {
				t.Errorf("%q: is it %q?", reply, k)
			}
		}
		if (refused.Explain() == "") != (want == nil) || refused.Temporary() != (reply[0] == '4') {
			t.Errorf("%q: %q, temporary %v", reply, refused.Explain(), refused.Temporary())
		}
	}
}

// portError is about a port.
type portError struct{}

func (portError) Error() string     { return "that port is another service's" }
func (portError) AnotherPort() bool { return true }

// Where a port is not to be dialled, the server names another, three times at most for each command.
func TestAnotherPort(t *testing.T) {
	for refused, want := range map[int]int{2: 3, 5: 6, 100: 6} {
		server := mailtest.NewFTP()
		dialled := 0
		c := ftp.New(mailtest.Connect(t, server, nil), &ftp.Options{AllowPlaintextAuth: true, Dial: func(ctx context.Context, port int) (net.Conn, error) {
			if dialled++; dialled <= refused {
				return nil, portError{}
			}
			return server.Dial(ctx, port)
		}})
		if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
			t.Fatal(err)
		}
		_, err := c.Stor(t.Context(), "a", 0, strings.NewReader("content"))
		if dialled != want || (err == nil) != (refused < want) || err != nil && !errors.Is(err, ftp.ErrNoData) {
			t.Errorf("%d refused: %d dialled, %v", refused, dialled, err)
		}
		c.Close()
	}
}

// The port that is dialled for an answer to EPSV or PASV.
func TestPorts(t *testing.T) {
	errDialed := errors.New("dialled")
	for reply, want := range map[string]int{
		"229 Entering Extended Passive Mode (|||6446|)": 6446,
		"229 (!!!6446!)":                                        6446,
		"229 (|2|2001:db8::1|6446|)":                            6446,
		"229 (|||65535|) and more (|||1|)":                      65535,
		"229-first\r\n229 (|||6446|)":                           6446,
		"229 (|||+6446|)":                                       0,
		"229 (|||6446)":                                         0,
		"229 (|||64 46|)":                                       0,
		"229 (   6446 )":                                        0,
		"227 Entering Passive Mode (127,0,0,1,25,46)":           25*256 + 46,
		"227 Entering Passive Mode (127,0,0,1,25,46).":          25*256 + 46,
		"227 =127,0,0,1,25,46":                                  25*256 + 46,
		"227 Entering Passive Mode 127, 0, 0, 1, 25, 46":        25*256 + 46,
		"227 2 ways: Passive Mode (1,2,3) or (127,0,0,1,25,46)": 25*256 + 46,
		"227 (127,0,0,1,025,046)":                               25*256 + 46,
		"227 (127,0,0,1,25,-46)":                                0,
		"227 (127,0,0,1,25,4646)":                               0,
		"227 (127.0.0.1.25.46)":                                 0,
		"227 (300,0,0,1,25,46)":                                 0,
		"227":                                                   0,
	} {
		server := mailtest.NewFTP()
		server.Fault = func(stage string, _ int) *mailtest.FTPFault {
			switch {
			case stage == "EPSV" && reply[:3] == "227":
				return &mailtest.FTPFault{Reply: "500 no\r\n"}
			case stage == "EPSV", stage == "PASV" && reply[:3] == "227":
				return &mailtest.FTPFault{Reply: reply + "\r\n"}
			case stage == "PASV":
				return &mailtest.FTPFault{Reply: "500 no\r\n"}
			}
			return nil
		}
		got := 0
		c := ftp.New(mailtest.Connect(t, server, nil), &ftp.Options{AllowPlaintextAuth: true, Dial: func(_ context.Context, port int) (net.Conn, error) {
			got = port
			return nil, errDialed
		}})
		if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
			t.Fatal(err)
		}
		_, err := c.Stor(t.Context(), "a", 0, strings.NewReader(""))
		switch {
		case got != want:
			t.Errorf("%q: port %d", reply, got)
		case want == 0 && !errors.Is(err, ftp.ErrProtocol):
			t.Errorf("%q: %v", reply, err)
		case want != 0 && reply[:3] == "227" && (!errors.Is(err, errDialed) || !errors.Is(err, ftp.ErrNoData)):
			t.Errorf("%q: %v", reply, err)
		}
		c.Close()
	}
}
