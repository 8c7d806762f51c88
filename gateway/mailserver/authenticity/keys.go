package authenticity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Key is a DKIM key and the selector under which its public half is published.
type Key struct {
	Selector string
	Signer   crypto.Signer // RSA of 1,024 to 4,096 bits, or Ed25519 (RFC 8463)
}

const (
	rsaBits = 2048 // RFC 8301 §3.2; more does not fit into one answer of the DNS by UDP
	maxKeys = 4    // each is a field of 500 octets in every message
)

// LoadKeys reads the keys of a folder, SELECTOR.pem each (PKCS #8), and makes
// one if there is none. To change keys, put a second file there, publish it,
// and take the first away some days later: messages are signed with all.
func LoadKeys(dir string, now time.Time) ([]Key, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err == nil && len(names) == 0 {
		if err = makeKey(dir, "postern"+now.UTC().Format("200601")); err == nil {
			names, err = filepath.Glob(filepath.Join(dir, "*.pem"))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("DKIM key: %w", err)
	}
	if len(names) > maxKeys {
		return nil, fmt.Errorf("%d DKIM keys in %s, at most %d may be there", len(names), dir, maxKeys)
	}
	slices.Sort(names)
	var keys []Key
	for _, name := range names {
		k, err := readKey(name)
		if err != nil {
			return nil, fmt.Errorf("DKIM key %s: %w; restore it, or move it away", name, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func readKey(name string) (Key, error) {
	k := Key{Selector: strings.TrimSuffix(filepath.Base(name), ".pem")}
	if !isName(k.Selector) {
		return k, errors.New("the file's name is no selector")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return k, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return k, errors.New("not a PEM file")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return k, err
	}
	switch private := parsed.(type) {
	case *rsa.PrivateKey:
		if n := private.N.BitLen(); n < 1024 || n > 4096 {
			return k, fmt.Errorf("an RSA key of %d bits", n)
		}
		k.Signer = private
	case ed25519.PrivateKey:
		k.Signer = private
	default:
		return k, errors.New("neither an RSA nor an Ed25519 key")
	}
	return k, nil
}

// makeKey puts a new key into the folder, durably: whole, for its owner alone,
// and never over another that somebody makes at the same time.
func makeKey(dir, selector string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), filepath.Join(dir, selector+".pem")); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// record is what the DNS has of a key (RFC 6376 §3.6.1).
func (k Key) record() (string, error) {
	switch public := k.Signer.Public().(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	default:
		der, err := x509.MarshalPKIXPublicKey(public)
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), err
	}
}
