package sasl

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The keys of the exchange that RFC 7677 section 3 prints give its proof and signature.
func TestKeysAsPublished(t *testing.T) {
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	k := DeriveKeys("pencil", salt, 4096)
	s := &SCRAMServer{
		Keys:   func(string) (Keys, error) { return k, nil },
		Decide: func(_ string, right bool) error { return map[bool]error{false: errors.New("wrong")}[right] },
	}
	if _, _, err := s.Next([]byte("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")); err != nil {
		t.Fatal(err)
	}
	s.nonce, s.first = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", rfc7677First
	final, done, err := s.Next([]byte("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	if string(final) != rfc7677Final || done || err != nil {
		t.Errorf("%q %v %v, want %q", final, done, err, rfc7677Final)
	}
	if _, done, err := s.Next([]byte{}); !done || err != nil {
		t.Errorf("after the empty answer: %v %v", done, err)
	}
	if _, _, err := s.Next([]byte{}); !errors.Is(err, ErrResponse) {
		t.Errorf("after the end: %v", err)
	}
}

func TestKeysAsText(t *testing.T) {
	k := NewKeys("pencil", 0)
	if k.Iterations != DefaultIterations || len(k.Salt) != 16 {
		t.Errorf("%d iterations, salt of %d", k.Iterations, len(k.Salt))
	}
	text := k.String()
	if got, err := ParseKeys(text); err != nil || got.String() != text {
		t.Errorf("%v %v", got, err)
	}
	if NewKeys("pencil", 0).String() == text {
		t.Error("two accounts with one password have one salt")
	}
	for _, bad := range []string{
		"", text[1:], text[:len(text)-4], strings.Replace(text, ":", "$", 1), strings.Replace(text, "$32768:", "$1:", 1),
		strings.Replace(text, "$32768:", "$99999999:", 1), strings.Replace(text, "SHA-256", "SHA-1", 1), text + "$", strings.Replace(text, "$32768:", "$32768:!", 1),
	} {
		if _, err := ParseKeys(bad); !errors.Is(err, ErrKeys) {
			t.Errorf("ParseKeys(%q) = %v", bad, err)
		}
	}
}

// talk lets a client and a server speak until one is done.
func talk(c Credentials, s *SCRAMServer) error {
	client, err := New(SCRAMSHA256, c)
	if err != nil {
		return err
	}
	_, response, err := client.Start()
	for err == nil {
		challenge, done, e := s.Next(response)
		if e != nil {
			return e
		}
		if done {
			return Finished(client)
		}
		response, err = client.Next(challenge)
	}
	return err
}

// Client and server agree on the right password, whatever its letters, and on no other.
func TestClientAndServer(t *testing.T) {
	wrong := errors.New("wrong")
	letters := rapid.StringOfN(rapid.RuneFrom([]rune("ab,= é会\"'n")), 1, 20, -1)
	rapid.Check(t, func(t *rapid.T) {
		user, password, tried := letters.Draw(t, "user"), letters.Draw(t, "password"), letters.Draw(t, "tried")
		told := ""
		s := &SCRAMServer{
			Keys: func(u string) (Keys, error) { told = u; return NewKeys(password, MinIterations), nil },
			Decide: func(_ string, right bool) error {
				if right != (tried == password) {
					t.Errorf("%q for %q is right: %v", tried, password, right)
				}
				return map[bool]error{false: wrong}[right]
			},
		}
		err := talk(Credentials{User: user, Password: tried}, s)
		if told != user || (err == nil) != (tried == password) || err != nil && !errors.Is(err, wrong) {
			t.Errorf("user %q as %q: %v", user, told, err)
		}
	})
}

// A server that lets in without the keys cannot prove itself.
func TestServerWithoutKeys(t *testing.T) {
	s := &SCRAMServer{
		Keys:   func(string) (Keys, error) { return NewKeys("a guess", MinIterations), nil },
		Decide: func(string, bool) error { return nil },
	}
	if err := talk(Credentials{User: "u", Password: "p"}, s); !errors.Is(err, ErrServerProof) {
		t.Errorf("%v, want ErrServerProof", err)
	}
}

func TestMalformedResponses(t *testing.T) {
	begin := func() *SCRAMServer {
		return &SCRAMServer{
			Keys:   func(string) (Keys, error) { return NewKeys("p", MinIterations), nil },
			Decide: func(string, bool) error { return errors.New("decided") },
		}
	}
	for _, first := range []string{
		"", "n", "n,,", "n,,n=u", "n,,r=x,n=u", "n,,n=,r=x", "n,,n=u,r=", "n,,n=u,r=a b", "n,,n=u=,r=x", "n,,n=u=2c,r=x", "n,,n=\xff,r=x", "n,,n=a\x00b,r=x",
		"p=tls-unique,,n=u,r=x", "n,a=v,n=u,r=x", "n,u,n=u,r=x", "n,,m=1,n=u,r=x", "n,,n=u,r=" + strings.Repeat("x", 257), "n,,n=" + strings.Repeat("u", 1025) + ",r=x",
	} {
		if c, _, err := begin().Next([]byte(first)); !errors.Is(err, ErrResponse) {
			t.Errorf("first %q: %q %v", first, c, err)
		}
	}
	for _, first := range []string{"n,,n=u,r=x", "y,,n=u,r=x", "n,a=u,n=u,r=x", "n,a=u=2Cv,n=u=2Cv,r=x", "n,,n=u,r=x,ext=1"} {
		s := begin()
		if c, _, err := s.Next([]byte(first)); err != nil || !strings.HasPrefix(string(c), "r=x") {
			t.Errorf("first %q: %q %v", first, c, err)
		}
		gs2 := base64.StdEncoding.EncodeToString([]byte(s.gs2))
		for _, final := range []string{"", "c=" + gs2, "c=" + gs2 + ",r=" + s.nonce, "c=" + gs2 + ",r=" + s.nonce + ",p=!", "c=" + gs2 + ",r=x,p=AAAA", "c=eSws1,r=" + s.nonce + ",p=AAAA"} {
			again := *s
			if c, _, err := again.Next([]byte(final)); !errors.Is(err, ErrResponse) {
				t.Errorf("final %q: %q %v", final, c, err)
			}
		}
		again := *s
		if _, _, err := again.Next([]byte("c=" + gs2 + ",r=" + s.nonce + ",p=AAAA")); err == nil || err.Error() != "decided" {
			t.Errorf("a proof that is too short must be decided upon: %v", err)
		}
	}
}

func FuzzSCRAMServer(f *testing.F) {
	f.Add("n,,n=u,r=x", "c=biws,r=x,p=AAAA")
	f.Add("y,a=u,n=u,r=x", "")
	keys := NewKeys("p", MinIterations)
	f.Fuzz(func(t *testing.T, first, second string) {
		s := &SCRAMServer{
			Keys:   func(string) (Keys, error) { return keys, nil },
			Decide: func(_ string, right bool) error { return map[bool]error{false: errors.New("wrong")}[right] },
		}
		s.Next(nil)
		s.Next([]byte(first))
		if c, done, err := s.Next([]byte(second)); err == nil || done || c != nil {
			t.Errorf("let in by %q and %q", first, second)
		}
	})
}
