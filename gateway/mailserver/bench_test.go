package mailserver

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// BenchmarkAccept accepts messages of 4 KB, each one durable before its 250, in
// so many sessions at once.
func BenchmarkAccept(b *testing.B) {
	for _, sessions := range []int{1, 10, 50} {
		b.Run(fmt.Sprint(sessions, " sessions"), func(b *testing.B) {
			s := start(b, testConfig(b.TempDir()))
			text := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 55)
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for range sessions {
				wg.Go(func() {
					conn, err := net.Dial("tcp", s.Addr(SMTP).String())
					if err != nil {
						b.Error(err)
						return
					}
					defer conn.Close()
					in := bufio.NewReader(conn)
					answer := func(prefix string) {
						for {
							line, err := in.ReadString('\n')
							if err != nil || !strings.HasPrefix(line, prefix) {
								b.Errorf("%q %v, want %s", line, err, prefix)
								return
							}
							if line[3] == ' ' {
								return
							}
						}
					}
					answer("220")
					io.WriteString(conn, "EHLO x\r\n")
					answer("250")
					for left.Add(-1) >= 0 {
						io.WriteString(conn, "MAIL FROM:<carol@elsewhere.test>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\n")
						answer("250")
						answer("250")
						answer("354")
						io.WriteString(conn, text+".\r\n")
						answer("250")
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// BenchmarkDownload fetches messages of 4 KB by POP3, commands pipelined.
func BenchmarkDownload(b *testing.B) {
	s := start(b, testConfig(b.TempDir()))
	const count = 2000
	text := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 55)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range count / 20 {
				in, err := s.store.Create()
				if err != nil {
					b.Error(err)
					return
				}
				io.WriteString(in, text)
				if err := in.Deliver(b.Context(), maildrop.Envelope{Local: []string{bob}}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	conn := s.dial(b, POP3)
	in := bufio.NewReaderSize(conn, 64<<10)
	line := func() string {
		l, err := in.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		return l
	}
	line()
	fmt.Fprintf(conn, "USER %s\r\nPASS %s\r\n", bob, password)
	line()
	line()
	b.SetBytes(int64(len(text)))
	b.ResetTimer()
	go func() {
		w := bufio.NewWriter(conn)
		for i := range b.N {
			fmt.Fprintf(w, "RETR %d\r\n", i%count+1)
		}
		w.Flush()
	}()
	for range b.N {
		line()
		for line() != ".\r\n" {
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
