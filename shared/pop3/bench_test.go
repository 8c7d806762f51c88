//go:build unix

package pop3_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/pop3"
)

// BenchmarkDownload downloads a whole maildrop from Dovecot, from login to QUIT, with this client and with others, in
// turn: quote the ratios. POSTERN_POP3PIPE names the program of a bare pipelining client, if there is one.
func BenchmarkDownload(b *testing.B) {
	const count = 10_000
	bed := testbed.StartDovecot(b)
	fillMaildrop(b, bed, mailtest.Generator{Seed: 42, Median: 8192, Attachments: 0.01}, count)
	download(b, bed, io.Discard) // Dovecot builds its index at the first look

	each := func(name string, run func(b *testing.B, out string)) {
		b.Run(name, func(b *testing.B) {
			before := processorTime(b)
			for b.Loop() {
				dir, err := os.MkdirTemp("/dev/shm", "download-")
				if err != nil {
					b.Skip("no memory for files: ", err)
				}
				run(b, dir)
				os.RemoveAll(dir)
			}
			b.ReportMetric(float64(count*b.N)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric((processorTime(b)-before).Seconds()*1e6/float64(count*b.N), "cpu-us/message")
		})
	}
	each("postern", func(b *testing.B, out string) {
		f, err := os.Create(filepath.Join(out, "mbox"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		w := bufio.NewWriterSize(f, 64<<10)
		download(b, bed, w)
		w.Flush()
	})
	each("postern-discard", func(b *testing.B, _ string) { download(b, bed, io.Discard) })
	each("mpop", func(b *testing.B, out string) {
		program(b, "mpop")
		rc := filepath.Join(out, "rc")
		content := fmt.Sprintf("account a\nhost %s\nport %d\nuser bob\npassword bob-pw\nauth user\ntls off\nkeep on\nonly_new off\n"+
			"uidls_file %s/uidls\nreceived_header off\ndelivery mbox %s/mbox\n", bed.Host, bed.POP3, out, out)
		if err := os.WriteFile(rc, []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
		command(b, "mpop", "-q", "-C", rc, "a")
	})
	each("pop3pipe-discard", func(b *testing.B, _ string) {
		path := os.Getenv("POSTERN_POP3PIPE")
		if path == "" {
			b.Skip("POSTERN_POP3PIPE is not set")
		}
		command(b, path, "-a", bed.Address(bed.POP3), "-n", strconv.Itoa(count))
	})
}

func download(b *testing.B, bed *testbed.Bed, w io.Writer) {
	ctx := context.Background()
	c, list := openMaildrop(b, ctx, bed)
	if _, err := c.UIDL(ctx); err != nil {
		b.Fatal(err)
	}
	if err := c.RetrAll(ctx, list, func(_ int, body io.Reader) error {
		_, err := io.Copy(w, body)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	if err := c.Quit(ctx); err != nil {
		b.Fatal(err)
	}
}

// processorTime is what this process and the programs it ran have used: on a busy machine it says more than the time.
func processorTime(b *testing.B) time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return sum
}

func program(b *testing.B, name string) {
	if _, err := exec.LookPath(name); err != nil {
		b.Skipf("%s is not installed", name)
	}
}

func command(b *testing.B, name string, args ...string) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// BenchmarkUnstuff reads messages from memory: what the client itself costs.
func BenchmarkUnstuff(b *testing.B) {
	var answers bytes.Buffer
	answers.WriteString("+OK\r\n+OK\r\n+OK\r\n+OK\r\nPIPELINING\r\n.\r\n")
	var list []pop3.Listing
	greeting := answers.Len()
	for i := range 2000 {
		m := mailtest.Generator{Median: 8192}.Message(i)
		fmt.Fprintf(&answers, "+OK %d octets\r\n", len(m))
		answers.Write(mailtest.Stuff(m))
		list = append(list, pop3.Listing{Number: i + 1, Size: int64(len(m))})
	}
	b.SetBytes(int64(answers.Len() - greeting))
	b.ReportAllocs()
	for b.Loop() {
		c := pop3.New(&canned{rest: answers.Bytes()}, nil)
		if err := c.Login(b.Context(), "bob", "bob-pw"); err != nil {
			b.Fatal(err)
		}
		if err := c.RetrAll(b.Context(), list, func(_ int, body io.Reader) error {
			_, err := io.Copy(io.Discard, body)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}
