package trust

import (
	"crypto/x509"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Every root of the bundle can be read, and the pool is made once.
func TestMozillaRoots(t *testing.T) {
	all, count := x509.NewCertPool(), 0
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		all.AddCert(cert)
		count++
	}
	pool := mozilla()
	if !pool.Equal(all) || count < 100 {
		t.Errorf("the pool lacks some of the bundle's %d roots", count)
	}
	if mozilla() != pool {
		t.Error("parsed twice")
	}
}
