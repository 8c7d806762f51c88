// Package ftpsuite holds the tests that every FTP server must pass together with our client: the one in memory,
// pure-ftpd, vsftpd, and Postern's own.
package ftpsuite

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/ftp"
)

// Target is a server under test with one folder that is the suite's alone.
type Target struct {
	// Dial returns a new control connection to the server, and what opens a data connection beside it, to a port of the server's.
	Dial func(testing.TB) (control net.Conn, data func(ctx context.Context, port int) (net.Conn, error))
	// TLS is the client's configuration; nil for plain text. Implicit tells that TLS begins with the first octet.
	TLS      *tls.Config
	Implicit bool
	// User and Password log in.
	User, Password string
	// Resumes tells that the server demands that data connections resume the control connection's TLS session.
	Resumes bool
	// Underscores tells that control characters in names become underscores.
	Underscores bool
	// Strict tells that names with control characters in them, or that are not UTF-8, are refused.
	Strict bool
	// Options are for every client.
	Options *ftp.Options
}

// Run runs the suite.
func Run(t *testing.T, target Target) {
	s := &suite{target}
	for _, c := range []struct {
		name string
		test func(*suite, *testing.T)
	}{
		{"login", (*suite).login},
		{"states", (*suite).states},
		{"TLS", (*suite).tls},
		{"features", (*suite).features},
		{"folders", (*suite).folders},
		{"refusals", (*suite).refusals},
		{"one file", (*suite).about},
		{"rename", (*suite).rename},
		{"content", (*suite).content},
		{"resume", (*suite).resume},
		{"append", (*suite).appending},
		{"download broken off", (*suite).brokenDownload},
		{"upload broken off", (*suite).brokenUpload},
		{"context ends", (*suite).contextEnds},
		{"PASV", (*suite).pasv},
		{"keep alive", (*suite).keepAlive},
		{"listing", (*suite).listing},
		{"names", (*suite).names},
		{"long listing", (*suite).longListing},
		{"transcript", (*suite).transcript},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(s, t) })
	}
}

type suite struct{ Target }

// session is a client with its test's context and transcript.
type session struct {
	*ftp.Client
	ctx context.Context

	mu   sync.Mutex
	said []ftp.Exchange
}

// connect makes a client that has not logged in. change, if not nil, changes its options.
func (s *suite) connect(t *testing.T, change func(*ftp.Options)) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	c := &session{ctx: ctx}
	var o ftp.Options
	if s.Options != nil {
		o = *s.Options
	}
	control, data := s.Dial(t)
	o.Dial = data
	o.AllowPlaintextAuth = s.TLS == nil
	o.Trace = func(e ftp.Exchange) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.said = append(c.said, e)
	}
	if s.Implicit {
		o.TLS = s.TLS
	}
	if change != nil {
		change(&o)
	}
	c.Client = ftp.New(control, &o)
	t.Cleanup(func() {
		c.Close()
		cancel()
		if t.Failed() {
			said := c.transcript()
			for _, e := range said[max(0, len(said)-30):] {
				t.Logf("data %d, sent %v, note %v: %s", e.Data, e.Sent, e.Note, e.Line)
			}
		}
	})
	if s.TLS != nil && !s.Implicit {
		must(t, c.AuthTLS(ctx, s.TLS))
	}
	return c
}

// session logs in.
func (s *suite) session(t *testing.T, change func(*ftp.Options)) *session {
	t.Helper()
	c := s.connect(t, change)
	must(t, c.Login(c.ctx, s.User, s.Password))
	return c
}

// folder logs in and goes to a new folder, which is removed at the end of the test.
func (s *suite) folder(t *testing.T, change func(*ftp.Options)) *session {
	t.Helper()
	c := s.session(t, change)
	name := "suite " + strings.Map(func(r rune) rune {
		if r == '/' {
			return '-'
		}
		return r
	}, t.Name())
	_, err := c.Mkd(c.ctx, name)
	must(t, err)
	dir, err := c.Cwd(c.ctx, name)
	must(t, err)
	t.Cleanup(func() {
		c := s.session(t, nil)
		_, err := c.Cwd(c.ctx, dir)
		must(t, err)
		c.empty(t, "")
		_, err = c.Cdup(c.ctx)
		must(t, err)
		must(t, c.Rmd(c.ctx, name))
		must(t, c.Quit(c.ctx))
	})
	return c
}

// empty removes what is in a folder.
func (c *session) empty(t *testing.T, dir string) {
	t.Helper()
	for _, e := range c.list(t, dir) {
		path, err := e.Path(dir)
		must(t, err)
		if e.Kind == ftp.Folder {
			c.empty(t, path)
			must(t, c.Rmd(c.ctx, path))
		} else {
			must(t, c.Dele(c.ctx, path))
		}
	}
}

func (c *session) transcript() []ftp.Exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.said)
}

// count counts what the client said.
func (c *session) count(line string) (n int) {
	for _, e := range c.transcript() {
		if e.Sent && e.Data == 0 && e.Line == line {
			n++
		}
	}
	return n
}

// list collects a listing.
func (c *session) list(t *testing.T, dir string) (all []ftp.Entry) {
	t.Helper()
	for e, err := range c.List(c.ctx, dir) {
		must(t, err)
		all = append(all, e)
	}
	return all
}

// alive checks that client and server understand each other.
func (c *session) alive(t *testing.T) {
	t.Helper()
	must(t, c.Noop(c.ctx))
	before := c.State().Dir
	dir, err := c.Pwd(c.ctx)
	must(t, err)
	if s := c.State(); dir != before || s.Phase != ftp.Ready || s.Transfer != "" || s.Data != 0 || s.Restart != 0 {
		t.Errorf("at %q, was at %q; state %+v", dir, before, s)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *suite) login(t *testing.T) {
	c := s.connect(t, nil)
	var refused *ftp.Error
	err := c.Login(c.ctx, s.User, s.Password+"!")
	if !errors.As(err, &refused) || refused.Command != "PASS" || !errors.Is(err, ftp.ErrNotLoggedIn) || refused.Text() == "" {
		t.Fatalf("wrong password: %v", err)
	}
	if got := c.State(); got.Phase != ftp.Opening || got.User != "" {
		t.Errorf("state after it: %+v", got)
	}
	must(t, c.Login(c.ctx, s.User, s.Password))
	if got := c.State(); got.Phase != ftp.Ready || got.User != s.User || got.Dir == "" || !got.UTF8 || got.Private != (s.TLS != nil) || got.TLS != got.Private {
		t.Errorf("state after login: %+v", got)
	}
	must(t, c.Quit(c.ctx))
	if got := c.State(); got.Phase != ftp.Closed {
		t.Errorf("state after QUIT: %+v", got)
	}
	if err := c.Noop(c.ctx); !errors.Is(err, ftp.ErrState) {
		t.Errorf("NOOP after QUIT: %v", err)
	}
}

func (s *suite) states(t *testing.T) {
	c := s.connect(t, nil)
	if _, err := c.Size(c.ctx, "x"); !errors.Is(err, ftp.ErrState) {
		t.Errorf("SIZE before login: %v", err)
	}
	must(t, c.Login(c.ctx, s.User, s.Password))
	if err := c.Login(c.ctx, s.User, s.Password); !errors.Is(err, ftp.ErrState) {
		t.Errorf("a second login: %v", err)
	}
	c = s.folder(t, nil)
	store(t, c, "a", "1")
	for e, err := range c.List(c.ctx, "") {
		must(t, err)
		if got := c.State(); got.Phase != ftp.Transferring || got.Data != c.lastData() || got.Transfer == "" {
			t.Errorf("state within a listing: %+v", got)
		}
		if err := c.Dele(c.ctx, e.Name); !errors.Is(err, ftp.ErrState) {
			t.Errorf("DELE within a listing: %v", err)
		}
	}
	c.alive(t)
}

func (c *session) lastData() (n int) {
	for _, e := range c.transcript() {
		n = max(n, e.Data)
	}
	return n
}

func (s *suite) tls(t *testing.T) {
	if s.TLS == nil {
		c := s.connect(t, func(o *ftp.Options) { o.AllowPlaintextAuth = false })
		if err := c.Login(c.ctx, s.User, s.Password); !errors.Is(err, ftp.ErrPlaintext) || c.count("USER "+s.User) != 0 {
			t.Errorf("a password in plain text: %v", err)
		}
		return
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			limited := *s
			limited.TLS = s.TLS.Clone()
			limited.TLS.MaxVersion = version
			c := limited.folder(t, nil)
			if state, ok := c.TLS(); !ok || state.Version != version {
				t.Fatalf("%v, %x", ok, state.Version)
			}
			if err := c.AuthTLS(c.ctx, s.TLS); !errors.Is(err, ftp.ErrState) {
				t.Errorf("AUTH TLS under TLS: %v", err)
			}
			store(t, c, "a", "under TLS")
			same(t, c, "a", "under TLS")
			c.list(t, "")
			notes := 0
			for _, e := range c.transcript() {
				if e.Note && e.Data > 0 && strings.HasPrefix(e.Line, tls.VersionName(version)) {
					if notes++; s.Resumes && !strings.HasSuffix(e.Line, "resumed") {
						t.Errorf("data connection %d: %s", e.Data, e.Line)
					}
				}
			}
			if notes != 3 {
				t.Errorf("%d data connections under TLS, want 3", notes)
			}
		})
	}
}

func (s *suite) features(t *testing.T) {
	c := s.session(t, nil)
	f, err := c.Features(c.ctx)
	must(t, err)
	if !f.UTF8 || !f.Size || !f.MDTM || !f.Restart || len(f.Lines) == 0 {
		t.Errorf("%+v", f)
	}
	if n := c.count("FEAT"); n != 1 {
		t.Errorf("FEAT was said %d times", n)
	}
}

func (s *suite) transcript(t *testing.T) {
	c := s.folder(t, nil)
	store(t, c, "a", "12345")
	same(t, c, "a", "12345")
	c.list(t, "")
	opened, closed, octets := 0, 0, 0
	for _, e := range c.transcript() {
		if strings.Contains(e.Line, s.Password) || e.Sent && strings.HasPrefix(e.Line, "PASS") && e.Line != "PASS ****" {
			t.Errorf("the password is in %q", e.Line)
		}
		switch {
		case e.Data == 0:
		case e.Note && strings.HasPrefix(e.Line, "opened, port "):
			opened++
		case e.Note && e.Line == "closed":
			closed++
		case e.Line == "... 5 octets" && e.Sent == (e.Data == 1):
			octets++
		}
	}
	if opened != 3 || closed != 3 || octets != 2 {
		t.Errorf("%d opened, %d closed, %d with octets", opened, closed, octets)
	}
}
