package sasl

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gosasl "github.com/emersion/go-sasl"
	"pgregory.net/rapid"
)

// The published examples of each mechanism.
func TestMechanismsAsPublished(t *testing.T) {
	for name, x := range map[string]struct {
		mechanism string
		c         Credentials
		initial   string // "-": none
		rounds    []string
	}{
		"RFC 4616, section 4": {Plain, Credentials{User: "tim", Password: "tanstaaftanstaaf"}, "\x00tim\x00tanstaaftanstaaf", nil},
		"beyond ASCII":        {Plain, Credentials{User: "carol", Password: "pässwörd-carol"}, "\x00carol\x00p\xc3\xa4ssw\xc3\xb6rd-carol", nil},
		"LOGIN":               {Login, Credentials{User: "tim", Password: "tanstaaf"}, "-", []string{"Benutzer:", "tim", "", "tanstaaf"}},
		"RFC 2195, section 2": {CRAMMD5, Credentials{User: "tim", Password: "tanstaaftanstaaf"}, "-", []string{
			"<1896.697170952@postoffice.reston.mci.net>", "tim b913a602c7eda7a495b4e6e7334d3890",
		}},
		"RFC 7628, section 4.1": {OAuthBearer, Credentials{User: "user@example.com", Token: "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", Host: "server.example.com", Port: 143},
			decode("bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"), nil},
		"RFC 7628, section 4.3": {OAuthBearer, Credentials{User: "user@example.com", Token: "bad", Host: "server.example.com", Port: 143},
			"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer bad\x01\x01",
			[]string{`{"status":"invalid_token","scope":"example_scope"}`, "\x01"}},
		"XOAUTH2": {XOAuth2, Credentials{User: "someuser@example.com", Token: "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"},
			decode("dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="),
			[]string{`{"status":"400"}`, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			c := begin(t, x.mechanism, x.c)
			start(t, c, x.mechanism, x.initial)
			for i := 0; i < len(x.rounds); i += 2 {
				got, err := c.Next([]byte(x.rounds[i]))
				if err != nil || got == nil || string(got) != x.rounds[i+1] {
					t.Fatalf("to %q: %q, %v; want %q", x.rounds[i], got, err, x.rounds[i+1])
				}
			}
			if _, err := c.Next([]byte("one more")); len(x.rounds) > 0 && !errors.Is(err, ErrChallenge) {
				t.Errorf("one challenge too many: %v", err)
			}
		})
	}
}

const (
	rfc7677First = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	rfc7677Final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

func rfc7677(t *testing.T) gosasl.Client {
	c := begin(t, SCRAMSHA256, Credentials{User: "user", Password: "pencil"})
	c.(*scram).nonce = "rOprNGfwEbeRWgbNEkqO"
	start(t, c, SCRAMSHA256, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
	return c
}

// RFC 7677 section 3.
func TestSCRAMAsPublished(t *testing.T) {
	c := rfc7677(t)
	proof, err := c.Next([]byte(rfc7677First))
	if want := "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="; err != nil || string(proof) != want {
		t.Fatalf("%q, %v; want %q", proof, err, want)
	}
	if err := Finished(c); !errors.Is(err, ErrServerProof) {
		t.Errorf("a server that has not proved itself: %v", err)
	}
	if last, err := c.Next([]byte(rfc7677Final)); err != nil || last == nil || len(last) != 0 {
		t.Errorf("the server's proof: %q, %v", last, err)
	}
	if err := Finished(c); err != nil {
		t.Errorf("a server that has proved itself: %v", err)
	}
	if _, err := c.Next(nil); !errors.Is(err, ErrChallenge) {
		t.Errorf("a third challenge: %v", err)
	}
}

func TestSCRAMServerCannotProveItself(t *testing.T) {
	for name, final := range map[string]string{
		"another signature": "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		"a part of it":      "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl9",
		"none":              "v=",
		"nothing":           "",
		"no base64":         "v=$",
		"another field":     "x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
	} {
		t.Run(name, func(t *testing.T) {
			c := rfc7677(t)
			if _, err := c.Next([]byte(rfc7677First)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Next([]byte(final)); !errors.Is(err, ErrServerProof) {
				t.Errorf("%v", err)
			}
			if err := Finished(c); !errors.Is(err, ErrServerProof) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	t.Run("a refusal, then consent", func(t *testing.T) {
		c := rfc7677(t)
		if _, err := c.Next([]byte(rfc7677First)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next([]byte("e=invalid-proof")); err != nil {
			t.Errorf("a refusal: %v", err)
		}
		if err := Finished(c); !errors.Is(err, ErrServerProof) {
			t.Errorf("then consent: %v", err)
		}
	})
}

func TestSCRAMServerAsksForNonsense(t *testing.T) {
	const r, s = "r=rOprNGfwEbeRWgbNEkqOx", "s=W22ZaJ0SNY7soEsUEjb6gQ=="
	for name, first := range map[string]string{
		"empty":                       "",
		"few fields":                  r + "," + s,
		"another nonce":               "r=zzz," + s + ",i=4096",
		"nothing added to the nonce":  "r=rOprNGfwEbeRWgbNEkqO," + s + ",i=4096",
		"a nonce with a space":        r + " x," + s + ",i=4096",
		"no salt":                     r + ",s=,i=4096",
		"a salt that is not base64":   r + ",s=!!!,i=4096",
		"a salt of a mebibyte":        r + ",s=" + strings.Repeat("AAAA", 1<<18) + ",i=4096",
		"a salt over its bound":       r + ",s=" + base64.StdEncoding.EncodeToString(make([]byte, maxSalt+1)) + ",i=4096",
		"an extension to understand":  "m=x," + r + "," + s + ",i=4096",
		"no count":                    r + "," + s + ",i=",
		"one iteration":               r + "," + s + ",i=1",
		"a negative count":            r + "," + s + ",i=-4096",
		"just too few":                r + "," + s + ",i=4095",
		"just too many":               r + "," + s + ",i=1000001",
		"minutes of it":               r + "," + s + ",i=2147483647",
		"a count beyond any integer":  r + "," + s + ",i=99999999999999999999999999",
		"fields out of their order":   s + "," + r + ",i=4096",
		"the server's last as first":  rfc7677Final,
		"rubbish of eight bits a NUL": "\x00\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := rfc7677(t).Next([]byte(first)); !errors.Is(err, ErrChallenge) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSCRAMNonces(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		c := begin(t, SCRAMSHA256, Credentials{User: "a,b=c", Password: "x"})
		_, initial, err := c.Start()
		nonce, ok := strings.CutPrefix(string(initial), "n,,n=a=2Cb=3Dc,r=")
		if err != nil || !ok || len(nonce) != 32 || strings.Contains(nonce, ",") || seen[nonce] {
			t.Fatalf("%q, %v", initial, err)
		}
		seen[nonce] = true
	}
}

func TestCredentialsThatCannotBeSent(t *testing.T) {
	for _, x := range []struct {
		mechanism string
		c         Credentials
	}{
		{Plain, Credentials{Password: "x"}},
		{Plain, Credentials{User: "a\x00b", Password: "x"}},
		{Plain, Credentials{User: "a", Password: "x\x00"}},
		{Login, Credentials{User: "a", Password: "\xff"}},
		{CRAMMD5, Credentials{User: "a ", Password: "x"}},
		{SCRAMSHA256, Credentials{User: "a\xff", Password: "x"}},
		{OAuthBearer, Credentials{User: "a", Password: "x"}},
		{OAuthBearer, Credentials{User: "a", Token: "x\x01host=evil"}},
		{OAuthBearer, Credentials{User: "a", Token: "x", Host: "h\x01auth=Bearer y"}},
		{XOAuth2, Credentials{User: "a\x01auth=Bearer y", Token: "x"}},
		{XOAuth2, Credentials{User: "a", Token: "pässwörd"}},
	} {
		if _, err := New(x.mechanism, x.c); !errors.Is(err, ErrCredentials) {
			t.Errorf("%s with %+v: %v", x.mechanism, x.c, err)
		}
	}
	if _, err := New("GSSAPI", Credentials{User: "a", Password: "x"}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("GSSAPI: %v", err)
	}
	if c, err := New("plain", Credentials{User: "a", Password: "x"}); err != nil {
		t.Errorf("%T, %v", c, err)
	}
}

func TestChoose(t *testing.T) {
	all := []string{"plain", "LOGIN", "GSSAPI", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"}
	password, token := Credentials{User: "a", Password: "x"}, Credentials{User: "a", Token: "x"}
	for i, x := range []struct {
		announced      []string
		c              Credentials
		tls, plaintext bool
		only           string
		want           string
		err            error
	}{
		{announced: all, c: password, tls: true, want: SCRAMSHA256},
		{announced: all, c: password, want: SCRAMSHA256},
		{announced: []string{"LOGIN", "PLAIN", "CRAM-MD5"}, c: password, tls: true, want: Plain},
		{announced: []string{"LOGIN", "PLAIN", "CRAM-MD5"}, c: password, want: CRAMMD5},
		{announced: []string{"LOGIN", "PLAIN", "CRAM-MD5"}, c: password, plaintext: true, want: CRAMMD5},
		{announced: []string{"LOGIN", "CRAM-MD5"}, c: password, tls: true, want: Login},
		{announced: []string{"CRAM-MD5"}, c: password, tls: true, want: CRAMMD5},
		{announced: []string{"LOGIN", "PLAIN"}, c: password, err: ErrPlaintext},
		{announced: []string{"LOGIN", "PLAIN"}, c: password, plaintext: true, want: Plain},
		{announced: []string{"LOGIN"}, c: password, plaintext: true, want: Login},
		{announced: all, c: token, tls: true, want: OAuthBearer},
		{announced: []string{"XOAUTH2"}, c: token, tls: true, want: XOAuth2},
		{announced: all, c: token, err: ErrPlaintext},
		{announced: []string{"PLAIN"}, c: token, tls: true, err: ErrNoMechanism},
		{announced: []string{"XOAUTH2"}, c: password, tls: true, err: ErrNoMechanism},
		{announced: nil, c: password, tls: true, err: ErrNoMechanism},
		{announced: []string{"GSSAPI"}, c: password, tls: true, err: ErrNoMechanism},
		{announced: all, c: password, tls: true, only: "login", want: Login},
		{announced: all, c: password, only: "LOGIN", err: ErrPlaintext},
		{announced: all, c: password, plaintext: true, only: "LOGIN", want: Login},
		{announced: []string{"PLAIN"}, c: password, tls: true, only: SCRAMSHA256, err: ErrNoMechanism},
		{announced: all, c: password, tls: true, only: "GSSAPI", err: ErrUnsupported},
		{announced: all, c: password, tls: true, only: XOAuth2, err: ErrNoMechanism},
	} {
		got, err := Choose(x.announced, x.c, x.tls, x.plaintext, x.only)
		if got != x.want || !errors.Is(err, x.err) {
			t.Errorf("%d: %q, %v; want %q, %v", i, got, err, x.want, x.err)
		}
		if errors.Is(err, ErrNoMechanism) && len(x.announced) > 0 && !strings.Contains(err.Error(), x.announced[0]) {
			t.Errorf("%d: %v does not say what was offered", i, err)
		}
	}
}

// Whatever is announced, a password that is not to be shown is not shown.
func TestChooseNeverShowsThePassword(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{Plain, Login, CRAMMD5, SCRAMSHA256, OAuthBearer, XOAuth2, "", "X"})
		announced := rapid.SliceOf(name).Draw(t, "announced")
		c := Credentials{User: "a", Password: "x", Token: rapid.SampledFrom([]string{"", "t"}).Draw(t, "token")}
		got, err := Choose(announced, c, false, false, name.Draw(t, "only"))
		if err == nil && got != CRAMMD5 && got != SCRAMSHA256 {
			t.Fatalf("%q", got)
		}
	})
}

// FuzzSCRAM gives the client any two challenges: it never panics, and believes no server.
func FuzzSCRAM(f *testing.F) {
	f.Add(rfc7677First, rfc7677Final)
	f.Add("r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=4096,x=y", "e=other-error")
	f.Add("r=,s=,i=", "v=")
	f.Fuzz(func(t *testing.T, first, final string) {
		if strings.Contains(first, "i=") && !strings.Contains(first, "i=4096") {
			return // time is not what is looked for
		}
		c := rfc7677(t)
		if _, err := c.Next([]byte(first)); err != nil {
			return
		}
		if _, err := c.Next([]byte(final)); err == nil && Finished(c) == nil && (first != rfc7677First || !strings.HasPrefix(final, rfc7677Final)) {
			t.Fatalf("%q, %q believed", first, final)
		}
	})
}

func begin(t *testing.T, mechanism string, c Credentials) gosasl.Client {
	t.Helper()
	client, err := New(mechanism, c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func start(t *testing.T, c gosasl.Client, mechanism, initial string) {
	t.Helper()
	name, got, err := c.Start()
	if err != nil || name != mechanism || initial == "-" && got != nil || initial != "-" && (got == nil || string(got) != initial) {
		t.Fatalf("%s, %q, %v; want %s, %q", name, got, err, mechanism, initial)
	}
}

func decode(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(fmt.Sprint(s, err))
	}
	return string(b)
}

// Hashing lets others have a turn: in a bubble, where time passes only while everybody sleeps, it passes.
func TestHashingYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		hi([]byte("pencil"), []byte("salt"), 3*yieldEvery+1)
		if turns := time.Since(start); turns != 3*time.Nanosecond {
			t.Errorf("%d turns for others, want 3", turns)
		}
	})
}

// The largest count of all gives what PBKDF2 of the standard library gives.
func TestHashingMost(t *testing.T) {
	if testing.Short() {
		t.Skip("a million iterations")
	}
	want, err := pbkdf2.Key(sha256.New, "pässwörd", []byte("salt"), MaxIterations, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if got := hi([]byte("pässwörd"), []byte("salt"), MaxIterations); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	t.Logf("%d iterations in %v", MaxIterations, time.Since(start))
}
