//go:build js

// Program check tries a Conn of package edge in workerd, against the servers that the test beside it has. It answers a request with what is not
// as it should be, and nothing if all is.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall/js"
	"time"

	"github.com/syumai/workers"

	"github.com/postern-mail/postern/gateway/edge"
)

// checks are by the paths of requests; each is given a connection to the server of its name.
var checks = map[string]func(*report, net.Conn){
	"late": late, "deaf": deaf, "half": half, "silent": closed, "fin": fin, "echo": pieces,
}

// place is where the program is, and what it was told there.
type place struct {
	*edge.Runtime
	told map[string]string
}

// Variable is one of what it was told.
func (p place) Variable(name string) string { return p.told[name] }

// report is what is wrong.
type report struct{ strings.Builder }

func (r *report) errorf(format string, args ...any) { fmt.Fprintf(r, format+"\n", args...) }

func main() {
	r := edge.Here()
	here := place{r, r.Variables("")}
	breaks(here.Variable("early"))
	workers.Serve(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		name := strings.TrimPrefix(req.URL.Path, "/")
		if name == "tunnel" {
			tunnel(here, w, req)
			return
		}
		var r report
		if name == "dial" {
			dial(&r, here)
		} else {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			c, err := here.Dialer().DialContext(ctx, "tcp", here.Variable(name))
			if err != nil {
				r.errorf("dial: %v", err)
			} else {
				if c.RemoteAddr().String() != here.Variable(name) || c.LocalAddr() == nil {
					r.errorf("addresses: %v, %v", c.RemoteAddr(), c.LocalAddr())
				}
				checks[name](&r, c)
				_ = c.Close()
			}
		}
		_, _ = io.WriteString(w, r.String()+"checked\n")
	}))
}

// tunnel breaks as the first message says.
func tunnel(here place, w http.ResponseWriter, req *http.Request) {
	ws, err := here.Accept(w, req)
	if err != nil {
		return
	}
	go func() {
		if m, err := ws.Read(context.Background()); err == nil {
			breaks(string(m))
		}
	}()
}

// breaks breaks the program in one of the ways in which one can.
func breaks(how string) {
	switch how {
	case "panic":
		panic(how)
	case "throw": // what JavaScript throws is a panic
		js.Global().Call("decodeURIComponent", "%")
	case "deep": // the stack of WebAssembly ends before Go's own
		fmt.Println(deep(0))
	case "exit":
		os.Exit(3)
	}
}

func deep(n int) int {
	if n < 0 {
		return n
	}
	return deep(n+1) + 1
}

const soon, never = 50 * time.Millisecond, 10 * time.Second

// dial: what cannot be connected to is an error of the dialling, and in time.
func dial(r *report, here place) {
	ctx, cancel := context.WithTimeout(context.Background(), never)
	defer cancel()
	var op *net.OpError
	for _, address := range []string{here.Variable("nobody"), "no port", "127.0.0.1:70000", ":1"} {
		if c, err := here.Dialer().DialContext(ctx, "tcp", address); err == nil || !errors.As(err, &op) || op.Op != "dial" {
			r.errorf("%s: %v, %v", address, c, err)
		}
	}
	if _, err := here.Dialer().DialContext(ctx, "udp", here.Variable("echo")); err == nil {
		r.errorf("udp is dialled")
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := here.Dialer().DialContext(cancelled, "tcp", here.Variable("silent")); err != nil && !errors.Is(err, context.Canceled) {
		r.errorf("a context that has ended: %v", err)
	}
	c, err := here.Dialer().DialName(ctx, "localhost", port(here.Variable("echo")))
	if err != nil {
		r.errorf("by name: %v", err)
		return
	}
	pieces(r, c)
	_ = c.Close()
}

func port(address string) (n int) {
	_, p, _ := net.SplitHostPort(address)
	_, _ = fmt.Sscan(p, &n)
	return n
}

// late is a server that says "late" when it has been sent something: nothing of it is lost by deadlines that pass before.
func late(r *report, c net.Conn) {
	buf := make([]byte, 10)
	read := func(what, want string, wantErr error) {
		n, err := c.Read(buf)
		if string(buf[:n]) != want || !errors.Is(err, wantErr) {
			r.errorf("%s: %q, %v", what, buf[:n], err)
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(-time.Second))
	read("a deadline gone by", "", os.ErrDeadlineExceeded)
	_ = c.SetReadDeadline(time.Now().Add(soon))
	read("a deadline that passes", "", os.ErrDeadlineExceeded)
	read("again", "", os.ErrDeadlineExceeded)
	var timeout net.Error
	if _, err := c.Read(buf); !errors.As(err, &timeout) || !timeout.Timeout() {
		r.errorf("it is no timeout: %v", err)
	}
	_ = c.SetDeadline(time.Time{})
	_, _ = io.WriteString(c, "!")
	read("the deadline is taken back", "late", nil)
	_ = c.SetReadDeadline(time.Now().Add(never))
	time.AfterFunc(soon, func() { _ = c.SetReadDeadline(time.Now()) })
	read("a deadline that is drawn near", "", os.ErrDeadlineExceeded)
	_ = c.SetReadDeadline(time.Now().Add(never))
	_, _ = io.WriteString(c, "!")
	read("put off", "late", nil)
	if n, err := c.Read(nil); n != 0 || err != nil {
		r.errorf("reading nothing: %d, %v", n, err)
	}
}

// deaf is a server that reads nothing: a write waits, until its deadline, and memory stays.
func deaf(r *report, c net.Conn) {
	block := make([]byte, 256<<10)
	total := 0
	for total < 64<<20 {
		_ = c.SetWriteDeadline(time.Now().Add(4 * soon))
		n, err := c.Write(block)
		total += n
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			r.errorf("after %d bytes: %v", total, err)
		}
		_ = c.SetWriteDeadline(time.Time{})
		if _, err := c.Write(block); !errors.Is(err, os.ErrDeadlineExceeded) {
			r.errorf("a write after that: %v", err) // what was cut off may have gone out, or not
		}
		return
	}
	r.errorf("%d bytes went to a server that reads none", total)
}

// half is a server that says how many bytes it got, at their end.
func half(r *report, c net.Conn) {
	_, _ = io.WriteString(c, strings.Repeat("x", 100_000))
	if err := c.(*edge.Conn).CloseWrite(); err != nil {
		r.errorf("CloseWrite: %v", err)
	}
	if got, err := io.ReadAll(c); string(got) != "100000" || err != nil {
		r.errorf("the answer: %q, %v", got, err)
	}
	if _, err := io.WriteString(c, "more"); err == nil {
		r.errorf("a write after CloseWrite is fine")
	}
}

// fin is a server that ends at once: the other direction does not.
func fin(r *report, c net.Conn) {
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		r.errorf("the end: %d, %v", n, err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		r.errorf("the end, again: %d, %v", n, err)
	}
	for range 3 {
		if _, err := io.WriteString(c, "x"); err != nil {
			r.errorf("a write after the other's end: %v", err)
		}
	}
}

// closed: Close unblocks a read, and is no error twice.
func closed(r *report, c net.Conn) {
	time.AfterFunc(soon, func() { _ = c.Close() })
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		r.errorf("a read that was under way: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		r.errorf("a read: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		r.errorf("a write: %v", err)
	}
	if err := c.(*edge.Conn).CloseWrite(); !errors.Is(err, net.ErrClosed) {
		r.errorf("CloseWrite: %v", err)
	}
	if err := c.Close(); err != nil {
		r.errorf("again: %v", err)
	}
}

// pieces: what comes is read in pieces of any size, whole and in order, with reading and writing at the same time.
func pieces(r *report, c net.Conn) {
	const size = 1 << 20
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i * i >> 7)
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		wrote <- err
	}()
	buf := make([]byte, 70_000)
	for got, step := 0, 1; got < size; step = step*3%69_997 + 1 {
		n, err := io.ReadAtLeast(c, buf[:min(step, size-got)], 1)
		if err != nil || string(buf[:n]) != string(sent[got:got+n]) {
			r.errorf("after %d bytes: %d more, %v", got, n, err)
			return
		}
		got += n
	}
	if err := <-wrote; err != nil {
		r.errorf("writing: %v", err)
	}
}
