//go:build unix

package ftp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

const (
	curlFiles = 5 // of the small ones for curl, which takes up to a second for each under TLS
	rounds    = 3 // of each, in turn; the fastest counts
)

// BenchmarkTable moves files from and to pure-ftpd, in plain text and under TLS, with this client, curl and lftp, in turn, each from login to
// QUIT and from and to files in memory; and prints a table.
func BenchmarkTable(b *testing.B) {
	y := yard{testbed.NewYard(b)}
	here := y.Here
	down, up := y.CurlEach(b, curlFiles, false), y.CurlEach(b, curlFiles, true)
	var table mailtest.Table
	for range b.N {
		for _, secure := range []bool{false, true} {
			y.Secure = secure
			names, some, small := y.Names(), "*", "2,000 small files"
			if secure { // lftp takes 50 ms for each
				names, some, small = names[100:200], "1??", "100 small files"
			}
			count := float64(len(names))
			for _, move := range []struct {
				what  string
				ours  func(testing.TB)
				curl  func(testing.TB)
				lftp  string
				moved float64 // MB, or files
				unit  string
			}{
				{"200 MB down", y.get("large"), y.Curl("-o", here+"/got", y.URL("large")), "get -O " + here + " large -o got", testbed.LargeFile / 1e6, "MB/s"},
				{"200 MB up", y.put("large"), y.Curl("-T", here+"/large", y.URL("up/large")), "put -O up " + here + "/large", testbed.LargeFile / 1e6, "MB/s"},
				{small + " down", y.get(names...), down, "mget -O " + here + " small/" + some, count, "files/s"},
				{small + " up", y.put(names...), up, "mput -O up " + here + "/small/" + some, count, "files/s"},
			} {
				what := move.what + ", in plain text"
				if secure {
					what = move.what + ", under TLS"
				}
				took := fastest(b, move.ours, y.Lftp(move.lftp), move.curl)
				rate := func(d time.Duration) string { return fmt.Sprintf("%.0f %s", move.moved/d.Seconds(), move.unit) }
				table.Add(what, rate(took[0]), "", "")
				if move.unit == "files/s" { // as long as curl would have taken for all
					took[2] = time.Duration(float64(took[2]) * count / curlFiles)
				}
				for i, other := range []string{"lftp", "curl"} {
					table.Add("    "+other, rate(took[i+1]), fmt.Sprintf("%.2f", took[i+1].Seconds()/took[0].Seconds()), "its speed: ours")
				}
			}
		}
	}
	table.Print(os.Stdout)
}

// fastest runs each in turn, again and again, and answers the least that each took.
func fastest(b testing.TB, runs ...func(testing.TB)) []time.Duration {
	least := make([]time.Duration, len(runs))
	for range rounds {
		for i, run := range runs {
			start := time.Now()
			run(b)
			if took := time.Since(start); least[i] == 0 || took < least[i] {
				least[i] = took
			}
		}
	}
	return least
}

// yard moves files with this client, too.
type yard struct{ *testbed.Yard }

// session runs f in a session of ours.
func (y *yard) session(b testing.TB, f func(ctx context.Context, c *ftp.Client) error) {
	ctx := context.Background()
	conn, err := net.Dial("tcp", y.Server.Address())
	if err != nil {
		b.Fatal(err)
	}
	c := ftp.New(conn, &ftp.Options{Dial: y.Server.DialData, AllowPlaintextAuth: !y.Secure})
	defer c.Close()
	if y.Secure {
		config := y.Server.ClientTLS()
		config.MinVersion = tls.VersionTLS12
		err = c.AuthTLS(ctx, config)
	}
	if err == nil {
		err = c.Login(ctx, y.User.Name, y.User.Password)
	}
	if err == nil {
		err = f(ctx, c)
	}
	if err == nil {
		err = c.Quit(ctx)
	}
	if err != nil {
		b.Fatal(err)
	}
}

func (y *yard) get(names ...string) func(testing.TB) {
	return func(b testing.TB) {
		y.session(b, func(ctx context.Context, c *ftp.Client) error {
			for _, name := range names {
				f, err := os.Create(filepath.Join(y.Here, "got"))
				if err != nil {
					return err
				}
				_, err = c.Retr(ctx, name, 0, -1, f)
				if err := errors.Join(err, f.Close()); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (y *yard) put(names ...string) func(testing.TB) {
	return func(b testing.TB) {
		y.session(b, func(ctx context.Context, c *ftp.Client) error {
			for _, name := range names {
				f, err := os.Open(filepath.Join(y.Here, name))
				if err != nil {
					return err
				}
				_, err = c.Stor(ctx, "up/"+filepath.Base(name), 0, f)
				f.Close()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}
