package ftp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/mailtest"
)

// A data connection that never comes: its time ends, and the session goes on.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := mailtest.NewFTP()
		server.Unreachable = true
		c := open(t, server, ftp.Options{Timeout: 20 * time.Second})
		start := time.Now()
		_, err := c.Retr(t.Context(), "a", 0, -1, io.Discard)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ftp.ErrNoData) || time.Since(start) != 40*time.Second { // by EPSV, and by PASV
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		alive(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Retr(ctx, "a", 0, -1, io.Discard); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ftp.ErrAborted) {
			t.Errorf("%v", err)
		}
		alive(t, c)
		c.Close()
	})
}

// Close ends the dialling of a data connection, too.
func TestCloseWhileDialling(t *testing.T) {
	server := mailtest.NewFTP()
	var c *ftp.Client
	dialled := make(chan struct{})
	c = ftp.New(mailtest.Connect(t, server, nil), &ftp.Options{AllowPlaintextAuth: true, Dial: func(ctx context.Context, _ int) (net.Conn, error) {
		close(dialled)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
		t.Fatal(err)
	}
	go func() {
		<-dialled
		c.Close()
	}()
	if _, err := c.Retr(t.Context(), "a", 0, -1, io.Discard); !errors.Is(err, net.ErrClosed) || c.State().Phase != ftp.Closed {
		t.Errorf("%v, state %+v", err, c.State())
	}
}

// A data connection whose TLS handshake does not go on: its time ends, and the session goes on.
func TestHandshakeStandsStill(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	server := mailtest.NewFTP()
	server.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server()}}
	server.DataFaults = &mailtest.Faults{StallAfter: 3}
	server.Files.Put("/a", []byte("content"))
	c, err := secured(t, server, &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}, ftp.Options{Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Retr(t.Context(), "a", 0, -1, io.Discard); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d octets, %v", n, err)
	}
	alive(t, c)
}

// Replies that nobody asked for, one after the other, do not hold up the end of a transfer that was broken off.
func TestStrays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, server := mailtest.Pipe(nil)
		var serving sync.WaitGroup
		defer serving.Wait()
		serving.Go(func() {
			defer server.Close()
			in := bufio.NewReader(server)
			io.WriteString(server, "220 hi\r\n")
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
				case "USER":
					io.WriteString(server, "230 in\r\n")
				case "EPSV":
					io.WriteString(server, "229 (|||2000|)\r\n")
				case "RETR":
					io.WriteString(server, "150 here\r\n")
				case "FEAT":
					io.WriteString(server, "500 no\r\n")
				case "TYPE":
					io.WriteString(server, "200 ok\r\n")
				case "ABOR":
					for range 100 {
						if _, err := io.WriteString(server, "200 what?\r\n"); err != nil {
							return
						}
						<-time.After(4 * time.Second)
					}
				case "PWD":
					io.WriteString(server, "257 \"/\"\r\n")
				}
			}
		})
		far, near := mailtest.Pipe(nil)
		defer near.Close()
		c := ftp.New(conn, &ftp.Options{AllowPlaintextAuth: true, Dial: func(context.Context, int) (net.Conn, error) { return far, nil }})
		if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := c.Retr(ctx, "a", 0, -1, io.Discard); !errors.Is(err, ftp.ErrAborted) || c.State().Phase != ftp.Closed || time.Since(start) > 12*time.Second {
			t.Errorf("after %v: %v, state %+v", time.Since(start), err, c.State())
		}
	})
}

// An upload that is broken off is reset: a server that does not read ABOR in time must not take it for a whole one.
func TestBrokenUploadIsReset(t *testing.T) {
	server := mailtest.NewFTP()
	server.Fault = func(stage string, _ int) *mailtest.FTPFault {
		if stage == "STOR" {
			return &mailtest.FTPFault{Reply: "150 go on\r\n"}
		}
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			defer conn.Close()
			_, err = io.Copy(io.Discard, conn)
		}
		ended <- err
	}()
	c := ftp.New(mailtest.Connect(t, server, nil), &ftp.Options{AllowPlaintextAuth: true, Dial: func(ctx context.Context, _ int) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}})
	defer c.Close()
	if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
		t.Fatal(err)
	}
	content := io.MultiReader(strings.NewReader("half of it"), iotest.ErrReader(io.ErrClosedPipe))
	if _, err := c.Stor(t.Context(), "a", 0, content); !errors.Is(err, ftp.ErrAborted) || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
	if err := <-ended; err == nil {
		t.Error("the data came to a proper end")
	}
	alive(t, c)
}

// Data that stands still, in either direction, is given up after DataTimeout; the session goes on.
func TestStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := mailtest.NewFTP()
		server.DataFaults = &mailtest.Faults{StallAfter: 3}
		server.Files.Put("/a", []byte("content"))
		c := open(t, server, ftp.Options{KeepAlive: 7 * time.Second})
		start := time.Now()
		n, err := c.Retr(t.Context(), "a", 0, -1, io.Discard)
		if n != 3 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("%d octets after %v: %v", n, time.Since(start), err)
		}
		alive(t, c)
		for _, err := range c.List(t.Context(), "") {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a listing: %v", err)
			}
		}
		alive(t, c)
		c.Close()
	})
}

// Close while a transfer is under way ends it, from another goroutine.
func TestClose(t *testing.T) {
	server := mailtest.NewFTP()
	server.DataFaults = &mailtest.Faults{StallAfter: 3}
	server.Files.Put("/a", []byte("content"))
	c := open(t, server, ftp.Options{})
	reached := make(chan struct{})
	go func() {
		<-reached
		c.Close()
	}()
	_, err := c.Retr(t.Context(), "a", 0, -1, writerFunc(func(p []byte) (int, error) { close(reached); return len(p), nil }))
	if !errors.Is(err, net.ErrClosed) || c.State().Phase != ftp.Closed {
		t.Errorf("%v, state %+v", err, c.State())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A callback that panics leaves no session behind.
func TestPanic(t *testing.T) {
	server := mailtest.NewFTP()
	server.Files.Put("/a", []byte("content"))
	c := open(t, server, ftp.Options{})
	func() {
		defer func() { recover() }()
		for range c.List(t.Context(), "") {
			panic("in the loop")
		}
	}()
	if c.State().Phase != ftp.Closed {
		t.Errorf("state %+v", c.State())
	}
}
