package tunnel_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

var fuzzOptions = &tunnel.Options{Handshake: 2 * time.Second, Linger: time.Millisecond, Streams: 4}

// say sends in as messages whose sizes are in it too, and then cuts.
func say(mc *tunneltest.Conn, in []byte) {
	for len(in) > 0 {
		n := min(1+int(in[0])*3, len(in))
		if mc.Write(context.Background(), in[:n]) != nil {
			break
		}
		in = in[n:]
	}
	_ = mc.Close("")
}

// FuzzServer: whatever a client sends, before its hello or after, the session ends when the client's bytes do.
func FuzzServer(f *testing.F) {
	open := append(packed(syn, 3, openBytes()), packed(fin, 3, []byte("QUIT\r\n"))...)
	f.Add(true, open)
	f.Add(false, append(packed(syn, 1, helloBytes()), open...))
	f.Add(true, append(yamuxFrame(windowUpdate, rst, 1, 0), yamuxFrame(ping, syn, 0, 1)...))
	f.Add(true, append(packed(syn|fin, 5, openBytes()), yamuxFrame(goAway, 0, 0, 0)...))
	f.Add(true, append(yamuxFrame(windowUpdate, syn|ack|fin|rst, 7, 0xffffffff), yamuxFrame(data, rst, 1, 3, 'a', 'b', 'c')...))
	f.Fuzz(func(t *testing.T, welcomed bool, in []byte) {
		mine, theirs := tunneltest.Pipe(tunneltest.Faults{Buffer: -1}, tunneltest.Faults{Buffer: -1})
		if welcomed {
			_ = mine.Write(t.Context(), packed(syn, 1, helloBytes()))
		}
		say(mine, in)
		within(t, 20*time.Second, "the session's end", func() {
			s, err := tunnel.Serve(context.Background(), theirs, greet, fuzzOptions)
			if err != nil {
				return
			}
			for {
				r, err := s.Accept(context.Background())
				if err != nil {
					break
				}
				if r.Open.Validate() != nil {
					t.Errorf("accepted %+v", r.Open)
				}
				if c, err := r.Accept(); err == nil {
					go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
				}
			}
			_ = s.Close()
		})
	})
}

// FuzzClient is the same for what a gateway sends: the client has one stream open.
func FuzzClient(f *testing.F) {
	f.Add(packed(ack, 1, welcomeBytes()))
	f.Add(append(packed(ack, 1, welcomeBytes()), packed(ack, 3, append([]byte("\x00\x00\x00\x0d"), `{"opened":{}}`...))...))
	f.Add(append(packed(ack, 1, welcomeBytes()), yamuxFrame(windowUpdate, ack|rst, 3, 0)...))
	f.Add(append(packed(ack|fin, 1, welcomeBytes()), yamuxFrame(goAway, 0, 0, 1)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		theirs, mine := tunneltest.Pipe(tunneltest.Faults{Buffer: -1}, tunneltest.Faults{Buffer: -1})
		go func() {
			_, _ = mine.Read(context.Background()) // the control stream's opening
			say(mine, in)
		}()
		within(t, 20*time.Second, "the session's end", func() {
			s, err := tunnel.Client(context.Background(), theirs, wire.Hello{Version: 1}, fuzzOptions)
			if err != nil {
				return
			}
			if c, err := s.Open(context.Background(), target); err == nil {
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}
			<-s.Done()
			_ = s.Close()
		})
	})
}
