package tunnel_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

// The frames of yamux, made by hand.
const (
	data, windowUpdate, ping, goAway = 0, 1, 2, 3
	syn, ack, fin, rst               = 1, 2, 4, 8
)

func yamuxFrame(kind byte, flags uint16, id, length uint32, payload ...byte) []byte {
	f := []byte{0, kind}
	f = binary.BigEndian.AppendUint16(f, flags)
	f = binary.BigEndian.AppendUint32(f, id)
	f = binary.BigEndian.AppendUint32(f, length)
	return append(f, payload...)
}

// packed is a data frame as long as its payload.
func packed(flags uint16, id uint32, payload []byte) []byte {
	return yamuxFrame(data, flags, id, uint32(len(payload)), payload...)
}

func helloBytes() []byte {
	var b bytes.Buffer
	_ = wire.WriteHello(&b, hello)
	return b.Bytes()
}

func welcomeBytes() []byte {
	var b bytes.Buffer
	_ = wire.WriteWelcome(&b, welcome)
	return b.Bytes()
}

func openBytes() []byte {
	var b bytes.Buffer
	_ = wire.WriteOpen(&b, target)
	return b.Bytes()
}

// quick are times that a test can wait for.
var quick = &tunnel.Options{Handshake: time.Second, Linger: 50 * time.Millisecond, KeepAlive: 50 * time.Millisecond, DeadAfter: 1500 * time.Millisecond, Streams: 8}

// attack is a peer that says what it likes.
type attack func(say func(...byte) bool)

func once(messages ...[]byte) attack {
	return func(say func(...byte) bool) {
		for _, m := range messages {
			say(m...)
		}
	}
}

func always(message func(i int) []byte) attack {
	return func(say func(...byte) bool) {
		for i := 0; say(message(i)...); i++ {
		}
	}
}

// afterHello is an attack by a client that has been welcomed.
func afterHello(a attack) attack {
	return func(say func(...byte) bool) {
		say(append(yamuxFrame(windowUpdate, syn, 1, 0), packed(0, 1, helloBytes())...)...)
		a(say)
	}
}

// TestHostileClient: what a broken client does ends its session, with this error, in time, and costs little.
func TestHostileClient(t *testing.T) {
	for name, test := range map[string]struct {
		attack attack
		want   error
		deaf   bool // the attacker reads nothing
	}{
		"silence":                   {once(), tunnel.ErrSilent, false},
		"garbage":                   {once(random(10_000)), tunnel.ErrProtocol, false},
		"a request for a page":      {once([]byte("GET / HTTP/1.1\r\nHost: postern\r\n\r\n")), tunnel.ErrProtocol, false},
		"an oversize message":       {once(make([]byte, wire.MaxMessage+1)), tunnel.ErrProtocol, false},
		"empty messages":            {always(func(int) []byte { return nil }), tunnel.ErrSilent, false},
		"a stream and no hello":     {once(yamuxFrame(windowUpdate, syn, 1, 0)), tunnel.ErrSilent, false},
		"half a hello":              {once(yamuxFrame(windowUpdate, syn, 1, 0), packed(0, 1, helloBytes()[:9])), tunnel.ErrSilent, false},
		"an endless hello":          {once(yamuxFrame(windowUpdate, syn, 1, 0), packed(0, 1, []byte{0xff, 0xff, 0xff, 0xff, '{'})), tunnel.ErrProtocol, false},
		"a hello that is none":      {once(yamuxFrame(windowUpdate, syn, 1, 0), packed(0, 1, openBytes())), tunnel.ErrProtocol, false},
		"an end before hello":       {once(yamuxFrame(windowUpdate, syn|fin, 1, 0)), tunnel.ErrProtocol, false},
		"a reset before hello":      {once(yamuxFrame(windowUpdate, syn, 1, 0), yamuxFrame(windowUpdate, rst, 1, 0)), tunnel.ErrReset, false},
		"another version of yamux":  {afterHello(once([]byte{1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0})), tunnel.ErrProtocol, false},
		"an unknown frame":          {afterHello(once(yamuxFrame(9, 0, 1, 0))), tunnel.ErrProtocol, false},
		"a frame of four gigabytes": {afterHello(once(yamuxFrame(data, 0, 1, 0xffffffff))), tunnel.ErrProtocol, false},
		"a frame over the window":   {afterHello(once(yamuxFrame(data, 0, 1, 1<<20+1))), tunnel.ErrProtocol, false},
		"an even stream":            {afterHello(once(yamuxFrame(windowUpdate, syn, 2, 0))), tunnel.ErrProtocol, false},
		"stream zero":               {afterHello(once(yamuxFrame(windowUpdate, syn, 0, 0))), tunnel.ErrProtocol, false},
		"a stream twice":            {afterHello(once(yamuxFrame(windowUpdate, syn, 1, 0))), tunnel.ErrProtocol, false},
		"an end twice": {afterHello(always(func(i int) []byte {
			id := uint32(2*i + 3)
			return append(append(yamuxFrame(windowUpdate, syn, id, 0), yamuxFrame(windowUpdate, fin, id, 0)...), yamuxFrame(windowUpdate, fin, id, 0)...)
		})), tunnel.ErrProtocol, false},
		"an unknown go-away":         {afterHello(once(yamuxFrame(goAway, 0, 0, 77))), tunnel.ErrProtocol, false},
		"a notice that is none":      {afterHello(once(packed(0, 1, helloBytes()))), tunnel.ErrProtocol, false},
		"more than the window takes": {afterHello(always(func(i int) []byte { return packed(flagsOnce(i), 3, make([]byte, 32<<10)) })), tunnel.ErrProtocol, false},
		"endless streams":            {afterHello(always(func(i int) []byte { return yamuxFrame(windowUpdate, syn, uint32(2*i+3), 0) })), tunnel.ErrProtocol, false},
		"endless streams, all full":  {afterHello(always(func(i int) []byte { return packed(syn, uint32(2*i+3), make([]byte, 60<<10)) })), tunnel.ErrProtocol, false},
		"a flood of pings":           {afterHello(always(func(int) []byte { return bytes.Repeat(yamuxFrame(ping, syn, 0, 1), 1000) })), tunnel.ErrProtocol, false},
		"a deaf flood of pings":      {afterHello(always(func(int) []byte { return bytes.Repeat(yamuxFrame(ping, syn, 0, 1), 1000) })), tunnel.ErrProtocol, true},
		"deaf, with endless streams": {afterHello(always(func(i int) []byte {
			return append(packed(syn, uint32(2*i+3), openBytes()), yamuxFrame(windowUpdate, rst, uint32(2*i+3), 0)...)
		})), tunnel.ErrStalled, true},
		"silence after hello":  {afterHello(once()), tunnel.ErrSilent, false},
		"another stream first": {once(append(yamuxFrame(windowUpdate, syn, 3, 0), packed(0, 3, helloBytes())...)), tunnel.ErrProtocol, false},
		"streams and no hello": {once(bytes.Join([][]byte{
			yamuxFrame(windowUpdate, syn, 1, 0), yamuxFrame(windowUpdate, syn, 3, 0), yamuxFrame(windowUpdate, syn, 5, 0),
			yamuxFrame(windowUpdate, syn, 7, 0), yamuxFrame(windowUpdate, syn, 9, 0), yamuxFrame(windowUpdate, syn, 11, 0),
		}, nil)), tunnel.ErrProtocol, false},
		"as few as may be and no hello": {once(bytes.Join([][]byte{
			yamuxFrame(windowUpdate, syn, 1, 0), yamuxFrame(windowUpdate, syn, 3, 0), yamuxFrame(windowUpdate, syn, 5, 0),
			yamuxFrame(windowUpdate, syn, 7, 0), yamuxFrame(windowUpdate, syn, 9, 0),
		}, nil)), tunnel.ErrSilent, false},
	} {
		t.Run(name, func(t *testing.T) {
			mine, theirs := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{Buffer: 16 << 10})
			before := goroutinesAndHeap()
			stop := make(chan struct{})
			go func() {
				defer close(stop)
				test.attack(func(m ...byte) bool { return mine.Write(context.Background(), m) == nil })
			}()
			if !test.deaf {
				go drain(mine)
			}
			within(t, 20*time.Second, "the session's end", func() {
				err := serveUntilTheEnd(theirs)
				if !errors.Is(err, test.want) && !(test.deaf && errors.Is(err, tunnel.ErrProtocol)) { // deaf, it depends on who is faster
					t.Errorf("it ended with %v", err)
				}
			})
			after := goroutinesAndHeap()
			if after.heap-before.heap > 16<<20 || after.goroutines-before.goroutines > 100 {
				t.Errorf("from %+v to %+v", before, after)
			}
			mine.Cut()
			<-stop
		})
	}
}

func flagsOnce(i int) uint16 {
	if i == 0 {
		return syn
	}
	return 0
}

func drain(mc tunnel.MessageConn) {
	for {
		if _, err := mc.Read(context.Background()); err != nil {
			return
		}
	}
}

// serveUntilTheEnd is a gateway that refuses every stream.
func serveUntilTheEnd(mc tunnel.MessageConn) error {
	s, err := tunnel.Serve(context.Background(), mc, greet, quick)
	if err != nil {
		return err
	}
	for {
		r, err := s.Accept(context.Background())
		if err != nil {
			_ = s.Close()
			return err
		}
		_ = r.Refuse(&wire.RefusedError{Reason: wire.Denied})
	}
}

type usage struct {
	goroutines int
	heap       int64
}

func goroutinesAndHeap() usage {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{runtime.NumGoroutine(), int64(m.HeapAlloc)}
}

// TestHostileGateway is the same for the client.
func TestHostileGateway(t *testing.T) {
	for name, test := range map[string]struct {
		attack attack
		want   error
	}{
		"silence":                {once(), tunnel.ErrSilent},
		"garbage":                {once(random(10_000)), tunnel.ErrProtocol},
		"an oversize message":    {once(make([]byte, wire.MaxMessage+1)), tunnel.ErrProtocol},
		"a welcome that is none": {once(packed(ack, 1, helloBytes())), tunnel.ErrProtocol},
		"an end for a welcome":   {once(yamuxFrame(windowUpdate, ack|fin, 1, 0)), tunnel.ErrProtocol},
		"a reset for a welcome":  {once(yamuxFrame(windowUpdate, rst, 1, 0)), tunnel.ErrReset},
		"an answer too early":    {once(yamuxFrame(windowUpdate, ack, 99, 0)), tunnel.ErrProtocol},
		"a stream of its own":    {once(packed(ack, 1, welcomeBytes()), yamuxFrame(windowUpdate, syn, 2, 0)), tunnel.ErrProtocol},
		"one of ours":            {once(packed(ack, 1, welcomeBytes()), yamuxFrame(windowUpdate, syn, 3, 0)), tunnel.ErrProtocol},
		"too much":               {afterWelcome(always(func(int) []byte { return packed(0, 1, make([]byte, 32<<10)) })), tunnel.ErrProtocol},
		"pings":                  {afterWelcome(always(func(int) []byte { return bytes.Repeat(yamuxFrame(ping, syn, 0, 1), 1000) })), tunnel.ErrProtocol},
		"acknowledgements":       {afterWelcome(always(func(int) []byte { return yamuxFrame(windowUpdate, ack, 1, 0) })), nil},
		"silence after welcome":  {afterWelcome(once()), tunnel.ErrSilent},
		"a goodbye":              {afterWelcome(once(yamuxFrame(windowUpdate, fin, 1, 0))), nil},
	} {
		t.Run(name, func(t *testing.T) {
			theirs, mine := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
			stop := make(chan struct{})
			go func() {
				defer close(stop)
				_, _ = mine.Read(context.Background()) // the first stream; what comes before it is an error of its own
				go drain(mine)
				test.attack(func(m ...byte) bool { return mine.Write(context.Background(), m) == nil })
			}()
			within(t, 20*time.Second, "the session's end", func() {
				s, err := tunnel.Client(context.Background(), theirs, hello, quick)
				if err == nil {
					if name == "acknowledgements" {
						_ = s.Close() // they do no harm
					}
					<-s.Done()
					err = s.Err()
					_ = s.Close()
				}
				if test.want == nil && !errors.Is(err, tunnel.ErrSessionClosed) || !errors.Is(err, test.want) && test.want != nil {
					t.Errorf("it ended with %v", err)
				}
			})
			mine.Cut()
			<-stop
		})
	}
}

func afterWelcome(a attack) attack {
	return func(say func(...byte) bool) {
		say(packed(ack, 1, welcomeBytes())...)
		a(say)
	}
}
