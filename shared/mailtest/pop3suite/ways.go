package pop3suite

import (
	"crypto/tls"
	"errors"
	"slices"
	"testing"

	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
)

// ways logs in by each way that the target must have, under TLS where there is any, with the right password and a wrong one.
func (s *suite) ways(t *testing.T) {
	for _, way := range s.Ways {
		t.Run(way, func(t *testing.T) {
			right, wrong := sasl.Credentials{User: s.User, Password: s.Password}, sasl.Credentials{User: s.User, Password: s.Password + "!"}
			if way == sasl.OAuthBearer || way == sasl.XOAuth2 {
				right.Token, wrong.Token = s.Token, "wrong"
			}
			c := s.connect(t)
			if s.TLS != nil {
				must(t, c.STLS(c.ctx, s.TLS))
			}
			var refused *pop3.Error
			if _, err := c.Auth(c.ctx, wrong, way); !errors.As(err, &refused) || refused.Code == "IN-USE" {
				t.Fatalf("wrong: %v", err)
			}
			if c.State() != pop3.Authorization {
				t.Fatalf("state after it: %v", c.State())
			}
			got, err := c.Auth(c.ctx, right, way)
			must(t, err)
			if got != way || c.State() != pop3.Transaction {
				t.Errorf("by %s, state %v", got, c.State())
			}
			if _, _, err := c.Stat(c.ctx); err != nil {
				t.Error(err)
			}
			must(t, c.Quit(c.ctx))
		})
	}
}

// announced compares what is announced with what must be there: no way more and no way less, of those that we know.
func (s *suite) announced(t *testing.T) {
	c := s.connect(t)
	if s.TLS != nil {
		must(t, c.STLS(c.ctx, s.TLS))
	}
	caps, err := c.Capa(c.ctx)
	must(t, err)
	for _, way := range []string{sasl.Plain, sasl.Login, sasl.CRAMMD5, sasl.SCRAMSHA256, sasl.OAuthBearer, sasl.XOAuth2} {
		if has, must := slices.Contains(caps.SASL, way), slices.Contains(s.Ways, way); has != must {
			t.Errorf("%s announced: %v, want %v", way, has, must)
		}
	}
	if must := slices.Contains(s.Ways, pop3.WayUser); caps.User != must {
		t.Errorf("USER announced: %v, want %v", caps.User, must)
	}
	if !slices.Contains(s.Ways, pop3.WayAPOP) {
		if err := c.APOP(c.ctx, s.User, s.Password); !errors.Is(err, pop3.ErrUnsupported) {
			t.Errorf("APOP, which there is not: %v", err)
		}
	}
}

// safest lets the client choose: with TLS, without, and without being allowed to show the password.
func (s *suite) safest(t *testing.T) {
	has := func(way string) bool { return slices.Contains(s.Ways, way) }
	first := func(ways ...string) string {
		for _, w := range ways {
			if has(w) {
				return w
			}
		}
		return ""
	}
	open := func(allow bool) *session {
		var o pop3.Options
		if s.Options != nil {
			o = *s.Options
		}
		o.AllowPlaintextAuth = allow
		return s.connectWith(t, &o)
	}
	cr := sasl.Credentials{User: s.User, Password: s.Password}
	if s.TLS != nil {
		c := open(false)
		must(t, c.STLS(c.ctx, s.TLS))
		way, err := c.Auth(c.ctx, cr, "")
		must(t, err)
		if want := first(sasl.SCRAMSHA256, sasl.Plain, sasl.Login, sasl.CRAMMD5, pop3.WayUser, pop3.WayAPOP); way != want {
			t.Errorf("under TLS by %s, want %s", way, want)
		}
		must(t, c.Quit(c.ctx))
	}
	c := open(false)
	if _, under := c.TLS(); under {
		return
	}
	hidden := first(sasl.SCRAMSHA256, sasl.CRAMMD5, pop3.WayAPOP)
	switch way, err := c.Auth(c.ctx, cr, ""); {
	case hidden == "" && !errors.Is(err, pop3.ErrPlaintext):
		t.Errorf("without TLS by %s, %v", way, err)
	case hidden != "" && (way != hidden || err != nil):
		t.Errorf("without TLS by %s, %v, want %s", way, err, hidden)
	}
	must(t, c.Quit(c.ctx))

	c = open(true)
	way, err := c.Auth(c.ctx, cr, "")
	must(t, err)
	if want := first(sasl.SCRAMSHA256, sasl.CRAMMD5, pop3.WayAPOP, sasl.Plain, sasl.Login, pop3.WayUser); way != want {
		t.Errorf("without TLS, allowed to show the password: by %s, want %s", way, want)
	}
	must(t, c.Quit(c.ctx))
}

// implicit reads the maildrop over TLS from the first octet: RFC 8314 section 3.3.
func (s *suite) implicit(t *testing.T) {
	if s.DialTLS == nil {
		return
	}
	s.fill(t, []byte("Subject: sealed\r\n\r\n"))
	c := s.wrap(t, pop3.New(s.DialTLS(t), s.Options))
	_, err := c.Auth(c.ctx, sasl.Credentials{User: s.User, Password: s.Password}, "")
	must(t, err)
	if _, ok := c.TLS(); !ok {
		t.Error("no TLS")
	}
	if count, _, err := c.Stat(c.ctx); err != nil || count != 1 {
		t.Errorf("%d messages, %v", count, err)
	}
	if err := c.STLS(c.ctx, &tls.Config{ServerName: "localhost"}); !errors.Is(err, pop3.ErrState) {
		t.Errorf("STLS: %v", err)
	}
	must(t, c.Quit(c.ctx))
}

// international uses UTF8 and LANG where they are announced, and finds them refused where they are not.
func (s *suite) international(t *testing.T) {
	c := s.connect(t)
	if s.TLS != nil {
		must(t, c.STLS(c.ctx, s.TLS))
	}
	caps, err := c.Capa(c.ctx)
	must(t, err)
	if err := c.UTF8(c.ctx); caps.UTF8 != (err == nil) || err != nil && !errors.Is(err, pop3.ErrUnsupported) {
		t.Errorf("UTF8, announced: %v: %v", caps.UTF8, err)
	}
	langs, err := c.Langs(c.ctx)
	if caps.Langs != (err == nil) || err != nil && !errors.Is(err, pop3.ErrUnsupported) {
		t.Errorf("LANG, announced: %v: %v", caps.Langs, err)
	}
	if caps.Langs {
		if len(langs) == 0 {
			t.Fatal("no languages")
		}
		must(t, c.Lang(c.ctx, langs[0].Tag))
		must(t, c.Lang(c.ctx, "*"))
		var refused *pop3.Error
		if err := c.Lang(c.ctx, "x-none"); !errors.As(err, &refused) {
			t.Errorf("a language that there is not: %v", err)
		}
	}
	_, err = c.Auth(c.ctx, sasl.Credentials{User: s.User, Password: s.Password}, "")
	must(t, err)
	if caps.Langs {
		must(t, c.Lang(c.ctx, "*"))
	}
	must(t, c.Quit(c.ctx))
}
