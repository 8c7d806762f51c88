package certificate

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pair makes a certificate of its own for name, and its key, good for so long.
func pair(t *testing.T, name string, lasts time.Duration) (certificate, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

type folder struct {
	t                *testing.T
	certificate, key string
}

func newFolder(t *testing.T) folder {
	dir := t.TempDir()
	return folder{t, filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")}
}

func (f folder) put(path string, text []byte) {
	f.t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
}

func shown(t *testing.T, s Source) string {
	t.Helper()
	c, err := s.Certificate(&tls.ClientHelloInfo{ServerName: "whatever.example"})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.Subject.CommonName
}

// A pair that is written anew is shown without a restart, whichever file comes first; what is no pair changes nothing, is
// said once, and is mended by the next change.
func TestFilesAreReadAgain(t *testing.T) {
	dir := newFolder(t)
	c1, k1 := pair(t, "one.example", 90*24*time.Hour)
	c2, k2 := pair(t, "two.example", 90*24*time.Hour)
	dir.put(dir.certificate, c1)
	dir.put(dir.key, k1)
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var ahead atomic.Int64
		// Within the bubble it is the year 2000; the certificates are of today.
		began := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		f, err := OpenFiles(dir.certificate, dir.key, slog.New(slog.NewTextHandler(&log, nil)), func() time.Time {
			return time.Now().Add(certificateTime(t, c1).Add(time.Hour).Sub(began)).Add(time.Duration(ahead.Load()))
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go f.Run(ctx)
		look := func() { time.Sleep(lookInterval + time.Second); synctest.Wait() }
		look()
		dir.put(dir.certificate, c2) // the key is still the old one's
		look()
		look()
		if got := shown(t, f); got != "one.example" {
			t.Errorf("half a pair is shown: %s", got)
		}
		if n := strings.Count(log.String(), "the certificate before goes on"); n != 1 {
			t.Errorf("it is said %d times that a pair is none:\n%s", n, &log)
		}
		dir.put(dir.key, k2)
		look()
		if got := shown(t, f); got != "two.example" {
			t.Errorf("%s is shown", got)
		}
		dir.put(dir.key, []byte("nonsense"))
		look()
		if err := f.Reload(); err == nil || !strings.Contains(err.Error(), "k.pem") {
			t.Errorf("nonsense is read as a key: %v", err)
		}
		if err := os.Remove(dir.certificate); err != nil {
			t.Fatal(err)
		}
		look()
		if got := shown(t, f); got != "two.example" {
			t.Errorf("with the files gone %s is shown", got)
		}
		if strings.Contains(log.String(), "ends soon") {
			t.Errorf("a certificate of 90 days worries:\n%s", &log)
		}
		ahead.Store(int64(85 * 24 * time.Hour))
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if n := strings.Count(log.String(), "ends soon"); n != 2 {
			t.Errorf("in 25 hours it was said %d times that the certificate ends:\n%s", n, &log)
		}
		stop()
		synctest.Wait()
	})
}

func certificateTime(t *testing.T, text []byte) time.Time {
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c.NotBefore
}

func TestFilesErrors(t *testing.T) {
	dir := newFolder(t)
	log := slog.New(slog.DiscardHandler)
	if _, err := OpenFiles(dir.certificate, dir.key, log, nil); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no files: %v", err)
	}
	c, k := pair(t, "over.example", -time.Minute)
	dir.put(dir.certificate, c)
	dir.put(dir.key, k)
	// An end that has come is no reason not to start: the mail server has its work, and a client says what is wrong.
	f, err := OpenFiles(dir.certificate, dir.key, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); err == nil || !strings.Contains(err.Error(), "good until") {
		t.Errorf("another that is over takes the place of one: %v", err)
	}
}

// Mail programs get a certificate whatever they ask for.
func TestMail(t *testing.T) {
	named := only{name: "mail.example", certificate: &tls.Certificate{}}
	for _, ask := range []string{"mail.example", "pop.example", ""} {
		got, err := Mail(named, "mail.example")(&tls.ClientHelloInfo{ServerName: ask})
		if err != nil || got != named.certificate {
			t.Errorf("%q: %p, %v; want %p", ask, got, err, named.certificate)
		}
	}
	if _, err := Mail(only{name: "another.example"}, "mail.example")(&tls.ClientHelloInfo{}); err == nil {
		t.Error("there is a certificate from nowhere")
	}
}

type only struct {
	name        string
	certificate *tls.Certificate
}

func (o only) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName != o.name {
		return nil, x509.HostnameError{}
	}
	return o.certificate, nil
}
func (only) Run(context.Context) {}
func (only) Reload() error       { return nil }
