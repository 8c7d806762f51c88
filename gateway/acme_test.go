package main

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/postern-mail/postern/gateway/certificate/acmetest"
)

// A gateway gets its own certificate, and shows it on the page's port and on those of the mail server, which has its
// self-signed one until then. The account and the keys are its owner's alone.
func TestACME(t *testing.T) {
	for _, way := range []string{"tls-alpn-01", "http-01, page behind a proxy"} {
		t.Run(way, func(t *testing.T) {
			page, plain := freeAddress(t), freeAddress(t)
			a := acmetest.Start(t, portOf(t, plain), portOf(t, page))
			data := filepath.Join(t.TempDir(), "data")
			args := []string{"--data", data, "--acme", "mail.example", "--acme-directory", a.Directory, "--acme-root", a.Root, "--acme-email", "postmaster@mail.example", "--hostname", "mail.example", "--listen", page, "--log", "debug"}
			if way != "tls-alpn-01" {
				args = append(args, "--http", plain, "--plain-page")
			}
			p := serveOn(t, args...)
			pop := p.find(`(127\.0\.0\.1:\d+) \(TLS\)\n +Mail`)
			addresses := []string{pop}
			if way == "tls-alpn-01" {
				addresses = append(addresses, page)
			} else if code, b := get(t, "http://"+plain+"/.well-known/acme-challenge/none"); code == 200 {
				t.Errorf("a challenge that is none: %d %q", code, b)
			}
			for _, address := range addresses {
				p.await("a certificate", func() bool {
					conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: "mail.example", RootCAs: a.Roots})
					if err == nil {
						conn.Close()
					}
					return err == nil
				})
			}
			if info, err := os.Stat(filepath.Join(data, "acme")); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("the account's folder: %v %v", info.Mode(), err)
			}
			p.end()
			if log := p.stderr.String(); strings.Contains(log, "postmaster@") || !strings.Contains(log, "a new certificate") {
				t.Errorf("the log:\n%s", log)
			}
		})
	}
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
